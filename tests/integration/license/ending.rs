//! How a license ends, and how it comes back: dates, the vendor's word, copies and snapshots.

use serde_json::json;

use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::date::in_seconds;
use crate::support::engine::Engine;
use crate::support::folder::copy;
use crate::support::license::Licensed;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

pub(crate) fn has(appliance: &Appliance, status: &str) -> Option<()> {
    (appliance.license()["status"] == status).then_some(())
}

/// Has the license looked at again (ML-30).
pub(crate) fn restart_services(appliance: &Appliance) {
    appliance.curl(&["-X", "DELETE", &appliance.management("/v1/management/services")]).ok();
}

#[test]
fn a_license_ends_by_itself_and_an_extension_brings_it_back() {
    let (vendor, engine) = (Vendor::new(), Engine::start());
    let end = in_seconds(8);
    let code = vendor.sell(&["--expires", &end, "--grace-days", "0"]);
    let appliance = Appliance::start(&vendor.settings(vendor.port()).speech(engine.address));
    let document = appliance.apply(&code).ok().json();
    assert_eq!(document["message"], format!("expires on {end}"), "a warning in the last month");
    appliance.post(&appliance.https("/v2/jobs"), "{}").ok();
    // Nobody asks for the license meanwhile: the gate must know by itself.
    until(SOON, "jobs are refused", || {
        (appliance.post(&appliance.https("/v2/jobs"), "{}").status == 403).then_some(())
    });
    assert_eq!(has(&appliance, "-116 License status subscription expired"), Some(()));
    assert_eq!(appliance.license()["subscription_expiry"], end, "what ended is still shown");
    vendor.ok(&["extend", &code, "--expires", "2090-01-01T00:00:00Z"]);
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    appliance.post(&appliance.https("/v2/jobs"), "{}").ok();
}

#[test]
fn a_suspension_stops_work_and_its_end_lets_it_go_on() {
    let (vendor, engine) = (Vendor::new(), Engine::start());
    let code = vendor.sell(&[]);
    let mut appliance = Appliance::start(&vendor.settings(vendor.port()).speech(engine.address));
    appliance.apply(&code).ok();
    vendor.ok(&["suspend", &code]);
    restart_services(&appliance);
    let inactive = "-114 License status license code inactive";
    until(SOON, "the suspension is known", || has(&appliance, inactive));
    assert_eq!(appliance.post(&appliance.https("/v2/jobs"), "{}").status, 403);
    appliance.restart();
    assert_eq!(has(&appliance, inactive), Some(()), "over a restart too");
    vendor.ok(&["resume", &code]);
    restart_services(&appliance);
    until(SOON, "work goes on", || has(&appliance, "3 License status concurrent license"));
    assert_eq!(vendor.show(&code)["activated"], 1);
}

#[test]
fn of_two_copies_one_goes_on_and_the_other_may_take_over() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let settings = vendor.settings(vendor.port());
    let mut first = Appliance::start(&settings);
    first.apply(&code).ok();
    first.stop();
    let mut second = Appliance::prepare(&settings);
    copy(&first.state(""), &second.state(""));
    first.launch();
    first.uses(100);
    first.apply(&code).ok();
    second.launch();
    until(SOON, "the copy has its own account", || {
        (vendor.show(&code)["appliances"][0]["epoch"] == 2).then_some(())
    });
    restart_services(&first);
    until(SOON, "the other one is refused", || {
        has(&first, "-117 License status duplicate device id")
    });
    assert_eq!(second.license()["licensed"], true);
    assert_eq!(first.apply(&code).ok().json()["licensed"], true, "a person may choose");
    restart_services(&second);
    until(SOON, "the copy is refused in turn", || {
        has(&second, "-117 License status duplicate device id")
    });
    assert_eq!(vendor.show(&code)["activated"], 1);
}

#[test]
fn an_older_state_goes_on_and_costs_what_was_cached() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let mut appliance = vendor.appliance();
    appliance.apply(&code).ok();
    appliance.stop();
    let snapshot = appliance.folder().join("snapshot");
    copy(&appliance.state(""), &snapshot);
    appliance.launch();
    appliance.uses(100);
    appliance.apply(&code).ok();
    appliance.stop();
    copy(&snapshot, &appliance.state(""));
    appliance.launch();
    until(SOON, "the account begins anew", || {
        (vendor.show(&code)["appliances"][0]["epoch"] == 2).then_some(())
    });
    let document = appliance.license();
    assert_eq!(
        (&document["licensed"], &document["transcription_secs_allowed"]),
        (&json!(true), &json!(3_600))
    );
    // 100 s were told, the 3,600 s that were cached can't be told apart from used ones.
    assert_eq!(vendor.show(&code)["secs_used"], 3_700);
}

/// What the vendor does when a signing key was stolen must not cost honest appliances their license.
#[test]
fn a_withdrawn_key_stops_a_license_until_the_service_is_reached_and_costs_nothing() {
    let mut vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let mut appliance = vendor.appliance();
    appliance.apply(&code).ok();
    appliance.uses(100);
    vendor.ok(&["rotate", "issuer", "--revoke"]);
    // A sign of life brings the keys, and no new license yet.
    until(SOON, "the appliance has the new keys", || {
        appliance.license();
        appliance.log().contains("newer keys of the license authority accepted").then_some(())
    });
    vendor.kill();
    appliance.restart();
    assert_eq!(has(&appliance, "-5 License status license does not verify"), Some(()));
    let message = appliance.license()["message"].clone();
    assert!(message.as_str().unwrap().contains("withdrawn the key"), "{message}");
    vendor.serve();
    until(SOON, "work goes on", || has(&appliance, "3 License status concurrent license"));
    let known = vendor.show(&code);
    let told = ["activated", "secs_used", "takeovers"].map(|name| known[name].clone());
    assert_eq!(told, [json!(1), json!(100), json!(0)], "{known}");
}
