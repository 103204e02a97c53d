//! The speech engine's socket: counting, repeats, its end, and a crash in the middle.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::command::Output;
use crate::support::license::Licensed;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

/// What the speech engine does.
pub(crate) trait Engine {
    fn usage(&self, method: &str, path: &str, body: &str) -> Output;
    fn reserve(&self, session: &str, seconds: u64, seq: u64) -> Output;
    fn settle(&self, session: &str, used: f64) -> Output;
    /// One session that uses so many seconds.
    fn uses(&self, seconds: u64);
}

impl Engine for Appliance {
    fn usage(&self, method: &str, path: &str, body: &str) -> Output {
        let socket = self.folder().join("run/usage.sock");
        let url = format!("http://localhost{path}");
        let socket = socket.to_str().unwrap();
        self.curl(&["--unix-socket", socket, "-X", method, "-d", body, &url])
    }

    fn reserve(&self, session: &str, seconds: u64, seq: u64) -> Output {
        let body = json!({"session": session, "seconds": seconds, "seq": seq});
        self.usage("POST", "/usage/reserve", &body.to_string())
    }

    fn settle(&self, session: &str, used: f64) -> Output {
        let body = json!({"session": session, "used": used});
        self.usage("POST", "/usage/settle", &body.to_string())
    }

    fn uses(&self, seconds: u64) {
        assert_eq!(self.reserve("a session", seconds, 1).ok().json(), json!({"granted": seconds}));
        self.settle("a session", seconds as f64).ok();
    }
}

fn allowed(appliance: &Appliance) -> u64 {
    appliance.license()["transcription_secs_allowed"].as_u64().unwrap()
}

fn licensed(vendor: &Vendor, more: &[&str]) -> (String, Appliance) {
    let code = vendor.sell(more);
    let appliance = vendor.appliance();
    appliance.apply(&code).ok();
    (code, appliance)
}

#[test]
fn seconds_are_held_settled_and_given_back_and_repeats_change_nothing() {
    let vendor = Vendor::new();
    let (code, appliance) = licensed(&vendor, &[]);
    for _ in 0..2 {
        assert_eq!(appliance.reserve("a", 30, 1).ok().out, r#"{"granted": 30}"#);
        assert_eq!(allowed(&appliance), 3_570);
    }
    appliance.reserve("a", 30, 2).ok();
    assert_eq!(allowed(&appliance), 3_540);
    for _ in 0..2 {
        appliance.settle("a", 12.5).ok();
        assert_eq!(allowed(&appliance), 3_587, "a part of a second is a whole one");
    }
    let document = appliance.usage("GET", "/license", "").ok().json();
    assert_eq!(document, appliance.license());
    assert_eq!(appliance.remove().ok().out, r#"{"transcription_secs_returned": 3587}"#);
    assert_eq!(vendor.show(&code)["secs_used"], 13);
}

#[test]
fn without_a_license_or_without_seconds_the_engine_hears_402() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--secs", "100", "--cache", "100"]);
    let appliance = vendor.appliance();
    assert_eq!(appliance.reserve("a", 30, 1).status, 402);
    appliance.apply(&code).ok();
    assert_eq!(appliance.reserve("a", 90, 1).ok().json(), json!({"granted": 90}));
    assert_eq!(appliance.reserve("b", 30, 1).ok().json(), json!({"granted": 10}), "what is left");
    let none = appliance.reserve("b", 30, 2);
    assert_eq!((none.status, &none.json()["granted"]), (402, &json!(0)));
    appliance.settle("a", 0.0).ok();
    assert_eq!(appliance.reserve("b", 30, 3).ok().json(), json!({"granted": 30}));
}

#[test]
fn the_socket_is_for_its_group_and_for_nothing_but_counting() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    let socket = appliance.folder().join("run/usage.sock");
    assert_eq!(std::fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o660);
    for (method, path, status) in [
        ("GET", "/v1/management/license", 404),
        ("DELETE", "/v1/security/reset", 404),
        ("GET", "/", 404),
        ("DELETE", "/license", 405),
        ("GET", "/usage/reserve", 405),
    ] {
        assert_eq!(appliance.usage(method, path, "").status, status, "{method} {path}");
    }
    let network = appliance.post(&appliance.management("/usage/reserve"), "{}");
    assert_eq!(network.status, 404, "not on the network");
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"session": "a"}"#,
        r#"{"session": "", "seconds": 1}"#,
        r#"{"session": "a", "seconds": 0}"#,
        r#"{"session": "a", "seconds": -1}"#,
        r#"{"session": "a", "seconds": 1e300}"#,
        r#"{"session": "a", "seconds": "30"}"#,
        r#"{"session": "a", "seconds": 1, "seq": -1}"#,
        r#"{"session": "a", "seconds": 1, "x": 1}"#,
        r#"{"session": "a", "session": "b", "seconds": 1}"#,
    ] {
        let answer = appliance.usage("POST", "/usage/reserve", body);
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(3)), "{body}");
    }
}

#[test]
fn a_crash_costs_at_most_what_was_held() {
    let vendor = Vendor::new();
    let (_, mut appliance) = licensed(&vendor, &[]);
    for session in ["a", "b", "c"] {
        appliance.reserve(session, 30, 1).ok();
        appliance.reserve(session, 30, 2).ok();
    }
    appliance.settle("c", 5.0).ok();
    appliance.signal(Signal::KILL);
    appliance.ended(SOON);
    appliance.launch();
    // What a and b held counts as used; the authority fills up what is missing.
    let used = until(SOON, "the authority knows what was used", || {
        let used = vendor.ok(&["report", "--json"]).parse::<Value>().unwrap()["total"]["secs_used"]
            .clone();
        (used != json!(0)).then_some(used)
    });
    assert_eq!(used, json!(125));
    appliance.settle("a", 1.0).ok();
    assert_eq!(allowed(&appliance), 3_600);
}

#[test]
fn the_cache_is_filled_up_before_it_is_empty() {
    let vendor = Vendor::new();
    let (code, appliance) = licensed(&vendor, &[]);
    appliance.uses(2_000);
    until(SOON, "the authority has been asked for more", || {
        (allowed(&appliance) == 3_600).then_some(())
    });
    let known = vendor.show(&code);
    assert_eq!((&known["secs_used"], &known["secs_left"]), (&json!(2_000), &json!(1_794_400)));
}

#[test]
fn a_session_may_be_longer_than_the_cache() {
    let vendor = Vendor::new();
    let (code, appliance) = licensed(&vendor, &["--cache", "300"]);
    let (mut granted, mut seq) = (0, 0);
    until(SOON, "twenty minutes are granted in blocks", || {
        seq += 1;
        let answer = appliance.reserve("long", 30.min(1_200 - granted), seq);
        granted += answer.json()["granted"].as_u64().unwrap();
        (granted == 1_200).then_some(())
    });
    appliance.settle("long", 1_190.0).ok();
    appliance.remove().ok();
    assert_eq!(vendor.show(&code)["secs_used"], 1_190);
}

#[test]
fn an_unlimited_license_counts_beyond_2_to_the_31_seconds() {
    const BLOCK: u64 = 1_000_000_000; // the most at once
    let vendor = Vendor::new();
    let (code, mut appliance) =
        licensed(&vendor, &["--secs", "unlimited", "--cache", "2147483647"]);
    for number in 1..=4 {
        assert_eq!(appliance.license()["transcription_secs_allocated"], 2_147_483_647);
        appliance.uses(BLOCK);
        let document = appliance.apply(&code).ok().json();
        assert_eq!(document["transcription_secs_allowed"], 2_147_483_647, "block {number}");
        assert_eq!(document["transcription_minutes_allowed"], "35791394");
        assert_eq!(vendor.show(&code)["secs_used"], number * BLOCK);
        appliance.restart();
    }
    assert_eq!(appliance.license()["licensed"], true);
    assert_eq!(appliance.remove().ok().out, r#"{"transcription_secs_returned": 2147483647}"#);
    assert_eq!(vendor.show(&code)["secs_used"], 4 * BLOCK);
}
