//! An online activation that something in between swallowed: it is finished with a certificate, or dropped,
//! and what was asked before never takes or costs anything afterwards.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::license::errors::{fails, rpc};
use crate::license::offline::{PATH, put, refused, request, seconds};
use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::license::Licensed;
use crate::support::network::{Fault, Network, read_message};
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n\
                    <!DOCTYPE html><html>Please sign in</html>";
const UNLICENSED: &str = "-113 License status server trial expired";
const AWAITING: &str = "-9 License status in midst of offline licensing";

/// An appliance that was told to activate online, over a network with this fault.
fn unconfirmed(vendor: &Vendor, fault: Fault) -> (Network, String, Appliance) {
    let (network, code) =
        (vendor.network(), vendor.sell(&["--offline-mode", "--offline-secs", "180000"]));
    let appliance = Appliance::start(&vendor.settings_over(&network));
    network.set(fault);
    let refused = appliance.apply(&code);
    assert_eq!(refused.status, 400, "{refused:?}");
    (network, code, appliance)
}

#[track_caller]
fn accounts(vendor: &Vendor, code: &str, wanted: [u64; 4]) {
    let known = vendor.show(code);
    let told = ["activated", "secs_held", "secs_used", "takeovers"].map(|name| known[name].clone());
    assert_eq!(told, wanted.map(Value::from), "{known}");
}

/// Whoever kept the first question that was about this license plays it to the authority.
fn play_again(vendor: &Vendor, question: &[u8]) {
    let mut service = TcpStream::connect(("127.0.0.1", vendor.port())).unwrap();
    service.write_all(question).unwrap();
    read_message(&mut service).unwrap();
}

/// The first question is the activation: an appliance without a license asks nothing by itself.
fn activation(network: &Network) -> Vec<u8> {
    network.questions().swap_remove(0)
}

#[test]
fn what_a_login_page_swallowed_is_finished_with_a_certificate_and_its_retry_costs_nothing() {
    let vendor = Vendor::new();
    let (network, code, mut appliance) = unconfirmed(&vendor, Fault::Answer(PAGE.to_owned()));
    let other = vendor.sell(&["--offline-mode"]);
    let refused = appliance.call("POST", PATH, &json!({ "license": other }).to_string());
    let detail = rpc("UNKNOWN", "Unable to request activation certificate: -112");
    let body = fails(&refused, 500, &detail, "online_call_pending");
    assert!(body["hint"].as_str().unwrap().contains("DELETE license"), "{body}");

    let asked = request(&appliance, &code);
    assert_eq!(appliance.license()["status"], AWAITING);
    appliance.restart();
    assert_eq!(request(&appliance, &code), asked, "the same certificate again");
    let certificate = vendor.sign(&asked);
    accounts(&vendor, &code, [1, 180_000, 0, 0]);
    network.set(Fault::None);
    until(SOON, "the first question has been answered", || {
        let document = appliance.license();
        (document["status"] == AWAITING && document["message"] == "").then_some(())
    });
    accounts(&vendor, &code, [1, 180_000, 0, 0]);

    assert_eq!(seconds(&put(&appliance, &code, &certificate).ok().json()), 180_000);
    play_again(&vendor, &activation(&network));
    accounts(&vendor, &code, [1, 180_000, 0, 0]);
    appliance.restart();
    appliance.uses(100);
    let renewed = vendor.sign(&request(&appliance, &code));
    assert_eq!(put(&appliance, &code, &renewed).ok().json()["licensed"], true);
    accounts(&vendor, &code, [1, 180_000, 100, 0]);
}

#[test]
fn what_the_service_heard_and_could_not_answer_is_taken_over_by_the_certificate() {
    let vendor = Vendor::new();
    let (network, code, mut appliance) = unconfirmed(&vendor, Fault::LoseAnswers);
    accounts(&vendor, &code, [1, 3_600, 0, 0]);
    let certificate = vendor.sign(&request(&appliance, &code));
    // What it may have had of the first answer counts as used, as at any takeover.
    accounts(&vendor, &code, [1, 180_000, 3_600, 1]);
    assert_eq!(put(&appliance, &code, &certificate).ok().json()["licensed"], true);
    let asked = network.questions().len();
    network.set(Fault::None);
    play_again(&vendor, &activation(&network));
    accounts(&vendor, &code, [1, 180_000, 3_600, 1]);
    appliance.restart();
    assert_eq!(appliance.license()["licensed"], true);
    assert_eq!(network.questions().len(), asked, "nothing is asked any more");
}

#[test]
fn a_certificate_waits_for_the_activation_that_may_have_taken_its_seat() {
    let vendor = Vendor::new();
    let (network, code) = (vendor.network(), vendor.sell(&["--offline-mode"]));
    let appliance = Appliance::start(&vendor.settings_over(&network));
    let certificate = vendor.sign(&request(&appliance, &code));
    network.set(Fault::LoseAnswers);
    assert_eq!(appliance.apply(&code).status, 400);
    refused(&put(&appliance, &code, &certificate), -112, "online_call_pending");
    network.set(Fault::None);
    until(SOON, "the activation is confirmed", || {
        (appliance.license()["licensed"] == true).then_some(())
    });
    assert_eq!(vendor.show(&code)["activated"], 1);
    appliance.remove().ok();
    assert_eq!(vendor.show(&code)["activated"], 0, "its seat is free for another appliance");
}

#[test]
fn what_a_login_page_swallowed_may_be_dropped_and_begun_anew() {
    let vendor = Vendor::new();
    let (network, code, mut appliance) = unconfirmed(&vendor, Fault::Answer(PAGE.to_owned()));
    assert_eq!(appliance.remove().ok().out, r#"{"transcription_secs_returned": 0}"#);
    assert_eq!(appliance.license()["status"], UNLICENSED);
    assert_eq!(appliance.license()["message"], "");
    appliance.logs(0, "is used when the same code is posted again");
    let nothing = appliance.remove();
    fails(&nothing, 400, "Input exception: No license to remove", "no_license");
    appliance.restart();
    network.set(Fault::None);
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    appliance.logs(0, &format!("license …{} activated", &code[14..]));
    accounts(&vendor, &code, [1, 3_600, 0, 0]);
    // Who kept the dropped question can't do anything with it.
    play_again(&vendor, &activation(&network));
    accounts(&vendor, &code, [1, 3_600, 0, 0]);
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
}

#[test]
fn what_was_dropped_is_the_same_seat_again_if_the_service_heard_it() {
    let vendor = Vendor::new();
    let (network, code, appliance) = unconfirmed(&vendor, Fault::LoseAnswers);
    let other = vendor.sell(&[]);
    assert_eq!(appliance.remove().ok().out, r#"{"transcription_secs_returned": 0}"#);
    network.set(Fault::None);
    assert_eq!(appliance.apply(&other).ok().json()["licensed"], true, "another license may be had");
    appliance.remove().ok();
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    accounts(&vendor, &code, [1, 3_600, 3_600, 1]);
}

#[test]
fn a_seat_that_the_service_confirms_after_all_is_given_back_and_not_dropped() {
    let vendor = Vendor::new();
    let (network, code, appliance) = unconfirmed(&vendor, Fault::LoseAnswers);
    network.set(Fault::None);
    assert_eq!(appliance.remove().ok().out, r#"{"transcription_secs_returned": 3600}"#);
    accounts(&vendor, &code, [0, 0, 0, 0]);
}
