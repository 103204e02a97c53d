//! A license that was activated with a certificate is given back with one, and credited once.

use serde_json::{Value, json};

use crate::license::errors::{fails, rpc};
use crate::license::offline::{PATH, island, put, request, seconds};
use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::command::Output;
use crate::support::license::Licensed;
use crate::support::vendor::Vendor;

fn give_back(appliance: &Appliance) -> Output {
    appliance.call("DELETE", PATH, "")
}

/// An appliance that was activated with a certificate for 1,000 s.
fn licensed(vendor: &Vendor) -> (String, Appliance) {
    let code = vendor.sell(&["--offline-mode", "--offline-secs", "1000"]);
    let appliance = island(vendor);
    put(&appliance, &code, &vendor.sign(&request(&appliance, &code))).ok();
    (code, appliance)
}

fn figures(vendor: &Vendor, code: &str) -> [Value; 4] {
    let known = vendor.show(code);
    ["activated", "secs_left", "secs_held", "secs_used"].map(|name| known[name].clone())
}

#[test]
fn what_was_not_used_comes_back_once_and_the_license_is_gone_before_that() {
    let vendor = Vendor::new();
    let (code, mut appliance) = licensed(&vendor);
    appliance.uses(400);
    appliance.reserve("running", 30, 1).ok();
    let told = give_back(&appliance).ok().json();
    assert_eq!(told["transcription_secs_returned"], 570, "what a session holds counts as used");
    let certificate = told["certificate"].as_str().unwrap();
    assert!(certificate.bytes().all(|b| b.is_ascii_alphanumeric()), "{certificate}");
    let document = appliance.license();
    assert_eq!(document["status"], "-113 License status server trial expired");
    assert_eq!((seconds(&document), &document["license_code"]), (0, &json!("")));
    assert_eq!(appliance.reserve("another", 1, 1).status, 402);
    appliance.settle("running", 30.0).ok();
    appliance.restart();
    assert_eq!(give_back(&appliance).ok().json(), told, "the same one again");

    assert_eq!(figures(&vendor, &code), [1, 1_799_000, 1_000, 0].map(Value::from));
    assert_eq!(vendor.redeem(certificate), "570 seconds were credited to the license");
    let after = [0, 1_799_570, 0, 430].map(Value::from);
    assert_eq!(figures(&vendor, &code), after);
    let again = vendor.redeem(certificate);
    assert_eq!(
        again,
        "this certificate was redeemed before, for 570 seconds; nothing was credited now"
    );
    assert_eq!(figures(&vendor, &code), after);
}

#[test]
fn the_appliance_may_be_activated_again_and_the_old_certificate_is_forgotten_then() {
    let vendor = Vendor::new();
    let (code, appliance) = licensed(&vendor);
    let first = give_back(&appliance).ok().json();
    vendor.redeem(first["certificate"].as_str().unwrap());
    let asked = request(&appliance, &code);
    assert_eq!(give_back(&appliance).ok().json(), first, "not before the new one is there");
    put(&appliance, &code, &vendor.sign(&asked)).ok();
    assert_eq!(seconds(&appliance.license()), 1_000);
    appliance.uses(1);
    let second = give_back(&appliance).ok().json();
    assert_eq!(second["transcription_secs_returned"], 999);
    vendor.redeem(second["certificate"].as_str().unwrap());
    assert_eq!(figures(&vendor, &code), [0, 1_799_999, 0, 1].map(Value::from));
}

#[test]
fn whoever_can_not_give_back_this_way_is_told_how() {
    let vendor = Vendor::new();
    let detail = "Unable to make a return certificate";
    let appliance = vendor.appliance();
    let none = give_back(&appliance);
    fails(&none, 400, "Input exception: No license to remove", "no_license");
    let code = vendor.sell(&["--offline-mode"]);
    appliance.apply(&code).ok();
    fails(&give_back(&appliance), 500, &rpc("UNKNOWN", detail), "activated_online");
    assert_eq!(appliance.license()["licensed"], true);

    let (code, appliance) = licensed(&vendor);
    let removed = appliance.remove();
    assert!(removed.json()["hint"].as_str().unwrap().contains("DELETE license/offlineactivation"));
    let renewal = request(&appliance, &code);
    fails(&give_back(&appliance), 500, &rpc("UNKNOWN", detail), "certificate_request_pending");
    put(&appliance, &code, &vendor.sign(&renewal)).ok();
    give_back(&appliance).ok();
}
