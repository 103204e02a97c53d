//! The power fails at any point of a license call: afterwards the appliance has the license or not, the
//! authority knows of exactly one seat, and not a second is lost or made.
//!
//! The daemon is killed at the N-th of each system call that touches a file of the state folder, or a
//! socket, for N = 1, 2, 3 … until the call comes to its end unharmed; and while the answer of the
//! authority comes in. Each try begins with the same appliance and the same authority.

mod files;
mod scene;
mod sockets;

use serde_json::json;

use crate::license::usage::Engine as _;
use crate::support::command::Output;
use crate::support::license::Licensed as _;
use crate::support::wait::{SOON, until};
use scene::Scene;

/// More calls of one kind than any change should need; a search that goes on longer is a fault of the test.
const MOST_CALLS: usize = 100;

const LICENSE: &str = "/v1/management/license";
const OFFLINE: &str = "/v1/management/license/offlineactivation";
const MODE: &str = "/v1/management/license/offlinemode";

/// A license call, what comes before it, and what must be true after it whatever happened.
struct Play {
    prepare: fn(&Scene),
    change: fn(&Scene) -> Output,
    /// Runs after the restart; may try the call again as a person would.
    after: fn(&Scene),
}

fn apply(scene: &Scene) -> Output {
    scene.call("POST", LICENSE, &json!({ "license": scene.code }).to_string())
}

const ACTIVATE: Play = Play {
    prepare: |_| {},
    change: apply,
    after: |scene| {
        apply(scene).ok();
        scene.accounts(1, 3_600, 0);
    },
};

const SYNC: Play = Play {
    prepare: |scene| {
        apply(scene).ok();
        scene.appliance.uses(1_000);
    },
    change: apply,
    after: |scene| {
        apply(scene).ok();
        scene.accounts(1, 3_600, 1_000);
    },
};

const RETURN: Play = Play {
    prepare: |scene| {
        apply(scene).ok();
        scene.appliance.uses(100);
    },
    change: |scene| scene.call("DELETE", LICENSE, ""),
    after: |scene| {
        until(SOON, "the license is given back", || {
            let status = scene.appliance.license()["status"].as_str()?.to_owned();
            if status.starts_with("3 ") {
                scene.appliance.remove();
            }
            status.starts_with("-113 ").then_some(())
        });
        scene.accounts(0, 0, 100);
    },
};

const GO_OFFLINE: Play = Play {
    prepare: |scene| drop(apply(scene).ok()),
    change: |scene| scene.call("POST", MODE, r#"{"offline": true}"#),
    after: |scene| {
        let back = scene.call("POST", MODE, r#"{"offline": false}"#).ok();
        assert_eq!(back.json()["licensed"], true);
        let known = scene.vendor.show(&scene.code);
        let sum = ["secs_left", "secs_held", "secs_used"].map(|part| known[part].as_i64().unwrap());
        assert_eq!(sum.iter().sum::<i64>(), 1_800_000, "{known}");
        assert_eq!((&known["takeovers"], &known["secs_used"]), (&json!(0), &json!(0)), "{known}");
        assert_eq!(known["appliances"][0]["epoch"], 1, "{known}");
    },
};

const GIVE_BACK: Play = Play {
    prepare: |scene| {
        (PUT.prepare)(scene);
        put(scene).ok();
        scene.appliance.uses(7);
    },
    change: |scene| scene.call("DELETE", OFFLINE, ""),
    after: |scene| {
        let told = scene.call("DELETE", OFFLINE, "").ok().json();
        assert_eq!(scene.appliance.license()["licensed"], false);
        assert_eq!(scene.call("DELETE", OFFLINE, "").ok().json(), told);
        scene.vendor.redeem(told["certificate"].as_str().unwrap());
        scene.accounts(0, 0, 7);
    },
};

fn put(scene: &Scene) -> Output {
    let certificate = std::fs::read_to_string(scene.mail()).unwrap();
    let body = json!({"license": scene.code, "certificate": certificate});
    scene.call("PUT", OFFLINE, &body.to_string())
}

const PUT: Play = Play {
    prepare: |scene| {
        let asked = json!({ "license": scene.code }).to_string();
        let request = scene.call("POST", OFFLINE, &asked).ok().json();
        let signed = scene.vendor.sign(request["certificate"].as_str().unwrap());
        std::fs::write(scene.mail(), signed).unwrap();
    },
    change: put,
    after: |scene| {
        let granted = put(scene).ok().json()["transcription_secs_allowed"].clone();
        assert_eq!(granted, scene.vendor.show(&scene.code)["secs_held"]);
        scene.appliance.uses(7);
        let left = put(scene).ok().json()["transcription_secs_allowed"].clone();
        assert_eq!(left.as_u64(), granted.as_u64().map(|granted| granted - 7));
    },
};

#[test]
fn a_power_cut_during_an_activation_takes_one_seat_and_loses_nothing() {
    files::survives("activate", &ACTIVATE);
}

#[test]
fn a_power_cut_during_a_sync_loses_nothing() {
    files::survives("sync", &SYNC);
}

#[test]
fn a_power_cut_during_a_return_credits_the_seconds_once() {
    files::survives("return", &RETURN);
}

#[test]
fn a_power_cut_on_the_way_offline_loses_nothing() {
    files::survives("offlinemode", &GO_OFFLINE);
}

#[test]
fn a_power_cut_while_a_certificate_is_applied_leaves_it_applied_or_not() {
    files::survives("PUT", &PUT);
}

#[test]
fn a_power_cut_while_a_license_is_given_back_with_a_certificate_loses_nothing() {
    files::survives("DELETE offlineactivation", &GIVE_BACK);
}

#[test]
fn an_activation_that_dies_on_the_network_takes_one_seat_and_loses_nothing() {
    sockets::survives("activate", &ACTIVATE, 8);
    sockets::survives_every_part_of_the_answer(&ACTIVATE);
}

#[test]
fn a_sync_that_dies_on_the_network_loses_nothing() {
    sockets::survives("sync", &SYNC, 8);
    sockets::survives_every_part_of_the_answer(&SYNC);
}

#[test]
fn a_return_that_dies_on_the_network_credits_the_seconds_once() {
    sockets::survives("return", &RETURN, 8);
    sockets::survives_every_part_of_the_answer(&RETURN);
}

#[test]
fn an_appliance_that_dies_on_the_network_on_its_way_offline_loses_nothing() {
    sockets::survives("offlinemode", &GO_OFFLINE, 8);
    sockets::survives_every_part_of_the_answer(&GO_OFFLINE);
}

/// No question is asked here: what dies is the conversation with the administrator.
#[test]
fn an_appliance_that_dies_with_a_certificate_in_its_hands_has_applied_it_or_not() {
    sockets::survives("PUT", &PUT, 2);
}
