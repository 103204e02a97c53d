//! Clocks that are wrong, at the vendor or here, and machines that slept: what was paid for is there again
//! as soon as somebody tells the time right, and nobody gains by telling it wrong.

use serde_json::json;

use crate::license::ending::{has, restart_services};
use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::clock::{Clock, DAY};
use crate::support::date::in_seconds;
use crate::support::license::Licensed;
use crate::support::prerequisites::can_trace;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

const LEASE_EXPIRED: &str = "-1 License status lease expired";
const LICENSED: &str = "3 License status concurrent license";

/// An appliance by a clock of its own, licensed.
fn licensed_by(clock: &Clock, vendor: &Vendor, code: &str) -> Appliance {
    let mut appliance = Appliance::prepare(&vendor.settings(vendor.port()));
    appliance.launch_as(&mut clock.of_daemon(&appliance.command("serve"))).unwrap();
    appliance.apply(code).ok();
    appliance
}

fn is_licensed(appliance: &Appliance) -> Option<()> {
    has(appliance, LICENSED)
}

#[test]
fn an_authority_whose_clock_was_wrong_for_one_answer_takes_no_license_away() {
    let mut vendor = Vendor::with_clock();
    let code = vendor.sell(&[]);
    let mut appliance = vendor.appliance();
    appliance.apply(&code).ok();
    vendor.ahead(31);
    // Started anew it asks once, and believes the answer.
    appliance.restart();
    until(SOON, "the appliance has asked", || {
        appliance.license()["connected"].as_bool().filter(|connected| *connected)
    });
    vendor.ahead(0);
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    assert_eq!(is_licensed(&appliance), Some(()));
    appliance.restart();
    assert_eq!(is_licensed(&appliance), Some(()), "over a restart too");
}

#[test]
fn a_sign_of_life_with_a_wrong_time_does_no_harm_to_a_license_that_comes_later() {
    let mut vendor = Vendor::with_clock();
    let code = vendor.sell(&[]);
    let appliance = vendor.appliance();
    vendor.ahead(200);
    assert_eq!(appliance.license()["connected"], true);
    vendor.ahead(0);
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
}

#[test]
fn a_subscription_that_ended_by_the_vendors_wrong_clock_goes_on_by_itself() {
    let mut vendor = Vendor::with_clock();
    let end = in_seconds(100 * DAY.cast_unsigned());
    let code = vendor.sell(&["--expires", &end]);
    let appliance = vendor.appliance();
    appliance.apply(&code).ok();
    vendor.ahead(200);
    restart_services(&appliance);
    until(SOON, "the wrong word has come", || {
        has(&appliance, "-116 License status subscription expired")
    });
    vendor.ahead(0);
    // Whoever looks is enough.
    until(3 * SOON, "the license is back", || is_licensed(&appliance));
}

#[test]
fn a_machine_that_slept_for_longer_than_its_lease_has_its_license_back_when_somebody_looks() {
    if !can_trace() {
        return;
    }
    let mut vendor = Vendor::with_clock();
    let (code, clock) = (vendor.sell(&[]), Clock::right());
    let appliance = licensed_by(&clock, &vendor, &code);
    vendor.ahead(31);
    clock.sleep(31 * DAY);
    let document = appliance.license();
    assert!(document["licensed"] == false || document["connected"] == true, "{document}");
    until(SOON, "the license is renewed", || is_licensed(&appliance));
}

#[test]
fn a_machine_that_stood_still_while_time_went_on_is_renewed_too() {
    if !can_trace() {
        return;
    }
    let mut vendor = Vendor::with_clock();
    let (code, clock) = (vendor.sell(&[]), Clock::right());
    let appliance = licensed_by(&clock, &vendor, &code);
    vendor.ahead(31);
    clock.set(31 * DAY, 0); // what the hypervisor had paused hears the time from the network
    until(SOON, "the license is renewed", || is_licensed(&appliance));
}

#[test]
fn a_lease_that_ended_while_the_service_was_away_is_renewed_when_it_is_back() {
    if !can_trace() {
        return;
    }
    let mut vendor = Vendor::with_clock();
    let (code, clock) = (vendor.sell(&[]), Clock::right());
    let appliance = licensed_by(&clock, &vendor, &code);
    vendor.kill();
    vendor.ahead(31);
    clock.sleep(31 * DAY);
    until(SOON, "the lease is over", || has(&appliance, LEASE_EXPIRED));
    let message = appliance.license()["message"].clone();
    let promise = "it is renewed when the license service is reached";
    assert!(message.as_str().unwrap().ends_with(promise), "{message}");
    vendor.serve_with(&["--clock-is-right"]);
    // The speech engine is refused, and nobody else asks.
    until(3 * SOON, "the engine may work again", || {
        (appliance.reserve("a", 10, 1).status == 200).then_some(())
    });
}

#[test]
fn an_activation_that_leaves_no_license_is_no_success() {
    if !can_trace() {
        return;
    }
    let vendor = Vendor::new();
    let (code, clock) = (vendor.sell(&[]), Clock::right());
    let mut appliance = Appliance::prepare(&vendor.settings(vendor.port()));
    appliance.launch_as(&mut clock.of_daemon(&appliance.command("serve"))).unwrap();
    clock.set(400 * DAY, 0);
    for _ in 0..2 {
        let refused = appliance.apply(&code);
        let told = refused.json();
        assert_eq!((refused.status, &told["code"]), (400, &json!(3)), "{refused:?}");
        assert_eq!(told["error"], "Input exception: Not activated");
        assert_eq!(told["reason"], "lease_expired");
        assert!(told["hint"].as_str().unwrap().contains("set the clock"), "{told}");
    }
    clock.set(0, 0);
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    assert_eq!(vendor.show(&code)["activated"], 1);
}
