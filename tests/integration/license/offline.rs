//! Certificates carried by hand: restarts in between, the wrong ones, renewal, and mail that mangles.

use serde_json::{Value, json};

use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::command::Output;
use crate::support::license::Licensed;
use crate::support::settings::free_port;
use crate::support::vendor::Vendor;

pub(crate) const PATH: &str = "/v1/management/license/offlineactivation";

/// An appliance without any route to its authority.
pub(crate) fn island(vendor: &Vendor) -> Appliance {
    Appliance::start(&vendor.settings(free_port()))
}

pub(crate) fn request(appliance: &Appliance, code: &str) -> String {
    let body = json!({"license": code, "username": "Fiona Kelly"}).to_string();
    let answer = appliance.call("POST", PATH, &body).ok().json();
    answer["certificate"].as_str().unwrap().to_owned()
}

pub(crate) fn put(appliance: &Appliance, code: &str, certificate: &str) -> Output {
    appliance.call("PUT", PATH, &json!({"license": code, "certificate": certificate}).to_string())
}

#[track_caller]
pub(crate) fn refused(output: &Output, number: i64, reason: &str) {
    let error = format!("Input exception: Unable to import certificate: {number}");
    assert_eq!(output.status, 400, "{output:?}");
    let body = output.json();
    assert_eq!((&body["error"], &body["reason"]), (&json!(error), &json!(reason)), "{body}");
}

#[test]
fn a_reboot_between_the_two_certificates_does_no_harm() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let mut appliance = island(&vendor);
    let asked = request(&appliance, &code);
    let status = &appliance.license()["status"];
    assert_eq!(status, "-9 License status in midst of offline licensing");
    appliance.restart();
    assert_eq!(request(&appliance, &code), asked, "the same certificate again");
    let license = vendor.sign(&asked);
    assert_eq!(vendor.sign(&asked), license, "and the same answer");
    appliance.restart();
    assert_eq!(put(&appliance, &code, &license).ok().json()["licensed"], true);
    appliance.restart();
    assert_eq!(appliance.license()["licensed"], true);
}

#[test]
fn the_same_certificate_twice_adds_nothing() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let appliance = island(&vendor);
    let license = vendor.sign(&request(&appliance, &code));
    let granted = seconds(&put(&appliance, &code, &license).ok().json());
    appliance.uses(100);
    assert_eq!(seconds(&appliance.license()), granted - 100);
    assert_eq!(seconds(&put(&appliance, &code, &license).ok().json()), granted - 100);
}

pub(crate) fn seconds(document: &Value) -> u64 {
    document["transcription_secs_allowed"].as_u64().unwrap()
}

#[test]
fn mail_may_break_lines_and_change_case_but_not_quote() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let appliance = island(&vendor);
    let license = vendor.sign(&request(&appliance, &code));
    let quoted: String = lines(&license).iter().map(|line| format!("> {line}\n")).collect();
    refused(&put(&appliance, &code, &quoted), -1055, "certificate_mangled");
    refused(&put(&appliance, &code, &license[..license.len() - 2]), -1055, "certificate_mangled");
    refused(
        &put(&appliance, &code, "7bc3c6684....f46d9781cfbae3c8129505e"),
        -1055,
        "certificate_mangled",
    );
    let written = format!(
        "-----BEGIN LICENSE-----\r\n{}\r\n-----END LICENSE-----\r\n",
        lines(&license).join(" \r\n").to_uppercase()
    );
    assert_eq!(put(&appliance, &code, &written).ok().json()["licensed"], true);
}

fn lines(text: &str) -> Vec<&str> {
    (0..text.len()).step_by(64).map(|at| &text[at..(at + 64).min(text.len())]).collect()
}

#[test]
fn every_certificate_that_does_not_fit_is_told_why_and_the_right_one_still_works() {
    let vendor = Vendor::new();
    let (code, second) = (vendor.sell(&["--offline-mode"]), vendor.sell(&["--offline-mode"]));
    let (appliance, other) = (island(&vendor), island(&vendor));
    let mine = request(&appliance, &code);
    let good = vendor.sign(&mine);

    refused(&put(&other, &code, &good), -1055, "other_computer");
    refused(&put(&appliance, &second, &good), -1055, "other_license");
    refused(&put(&appliance, &code, &mine), -1055, "wrong_certificate");
    let stranger = Vendor::new();
    let foreign = stranger.sell(&["--offline-mode"]);
    let elsewhere = island(&stranger);
    let theirs = stranger.sign(&request(&elsewhere, &foreign));
    refused(&put(&appliance, &code, &theirs), -1055, "certificate_not_genuine");
    let missing = appliance.call("PUT", PATH, &json!({ "license": code }).to_string());
    refused(&missing, -1114, "certificate_missing");

    // Given up, so its answer comes too late.
    assert_eq!(appliance.remove().ok().out, r#"{"transcription_secs_returned": 0}"#);
    refused(&put(&appliance, &code, &good), -1114, "no_request");
    let again = request(&appliance, &code);
    assert_ne!(again, mine);
    refused(&put(&appliance, &code, &good), -1055, "older_request");
    assert_eq!(appliance.license()["licensed"], false);
    let fitting = vendor.sign(&again);
    assert_eq!(put(&appliance, &code, &fitting).ok().json()["licensed"], true);
}

#[test]
fn a_certificate_does_not_replace_another_license_in_force_whose_seat_would_be_lost() {
    let vendor = Vendor::new();
    let (online, carried) = (vendor.sell(&["--offline-mode"]), vendor.sell(&["--offline-mode"]));
    let appliance = vendor.appliance();
    let certificate = vendor.sign(&request(&appliance, &carried));
    appliance.apply(&online).ok();
    refused(&put(&appliance, &carried, &certificate), -112, "license_present");
    let offline = |on: bool| {
        let body = json!({ "offline": on }).to_string();
        appliance.call("POST", "/v1/management/license/offlinemode", &body).ok();
    };
    offline(true);
    refused(&put(&appliance, &carried, &certificate), -112, "license_present");
    offline(false);
    assert_eq!(appliance.license()["license_code"], online);

    appliance.remove().ok();
    assert_eq!(vendor.show(&online)["activated"], 0);
    let document = put(&appliance, &carried, &certificate).ok().json();
    assert_eq!((&document["licensed"], &document["license_code"]), (&json!(true), &json!(carried)));
}

#[test]
fn a_renewal_tells_what_was_used_and_brings_new_seconds() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode", "--offline-secs", "1000"]);
    let mut appliance = island(&vendor);
    put(&appliance, &code, &vendor.sign(&request(&appliance, &code))).ok();
    assert_eq!(seconds(&appliance.license()), 1_000);
    appliance.uses(400);
    let renewal = request(&appliance, &code);
    appliance.restart();
    assert_eq!(appliance.license()["licensed"], true, "it works on while the answer is awaited");
    put(&appliance, &code, &vendor.sign(&renewal)).ok();
    assert_eq!(seconds(&appliance.license()), 1_000);
    let known = vendor.show(&code);
    assert_eq!((&known["secs_used"], &known["activated"]), (&json!(400), &json!(1)), "{known}");
}
