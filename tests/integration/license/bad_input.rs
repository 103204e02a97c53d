//! Bodies nobody should send: a clear 400 or a refusal, never a change, never a crash.

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::license::Licensed;
use crate::support::vendor::Vendor;

const LICENSE: &str = "/v1/management/license";
const OFFLINE: &str = "/v1/management/license/offlineactivation";
const MODE: &str = "/v1/management/license/offlinemode";

#[track_caller]
fn bad(appliance: &Appliance, method: &str, path: &str, body: &str) {
    let answer = appliance.call(method, path, body);
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(3)), "{method} {path} {body}");
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("Input exception: "), "{error}");
}

#[test]
fn bodies_that_are_not_what_the_manual_shows_are_refused() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    let before = appliance.license();
    for body in [
        "",
        "{",
        "null",
        "[]",
        "\"x\"",
        "{}",
        r#"{"license": null}"#,
        r#"{"license": ""}"#,
        r#"{"license": 494953679762904933}"#,
        r#"{"licence": "494953679762904933"}"#,
        r#"{"license": "494953679762904933", "license": "494953679762904934"}"#,
        r#"{"license": "494953679762904933", "extra": 1}"#,
        r#"{"license": "494953679762904933", "username": 1}"#,
        "{\"license\": \"4949\\u000053679762904933\"}",
    ] {
        bad(&appliance, "POST", LICENSE, body);
        bad(&appliance, "POST", OFFLINE, body);
        bad(&appliance, "PUT", OFFLINE, body);
    }
    for body in
        ["", "{}", r#"{"offline": 1}"#, r#"{"offline": "true"}"#, r#"{"offline": true, "x": 1}"#]
    {
        bad(&appliance, "POST", MODE, body);
    }
    let long = json!({"license": "494953679762904933", "username": "x".repeat(300)}).to_string();
    bad(&appliance, "POST", LICENSE, &long);
    bad(&appliance, "POST", LICENSE, &format!("{{\"license\": \"{}\"}}", "9".repeat(80_000)));
    assert_eq!(appliance.license(), before);
}

#[test]
fn certificates_out_of_nowhere_are_never_taken() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let appliance = vendor.appliance();
    let asked = json!({ "license": code }).to_string();
    let request = appliance.call("POST", OFFLINE, &asked).ok().json();
    let good = vendor.sign(request["certificate"].as_str().unwrap());
    let mut seed = 7_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize
    };
    let mut tried = vec![String::new(), "00".repeat(40_000), "zz".repeat(100), " \n".to_owned()];
    for _ in 0..60 {
        let mut digits: Vec<u8> = good.bytes().collect();
        let at = random() % digits.len();
        digits[at] = if digits[at] == b'0' { b'1' } else { b'0' };
        tried.push(String::from_utf8(digits).unwrap());
        tried.push(good[..random() % good.len()].to_owned());
    }
    for certificate in tried {
        let body = json!({"license": code, "certificate": certificate}).to_string();
        bad(&appliance, "PUT", OFFLINE, &body);
    }
    assert_eq!(appliance.license()["licensed"], false);
    let body = json!({"license": code, "certificate": good}).to_string();
    assert_eq!(appliance.call("PUT", OFFLINE, &body).ok().json()["licensed"], true);
}

#[test]
fn other_methods_are_405_with_the_ones_there_are() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    for (path, method) in [(LICENSE, "PUT"), (OFFLINE, "GET"), (MODE, "DELETE")] {
        assert_eq!(appliance.call(method, path, "{}").status, 405, "{method} {path}");
    }
}

#[test]
fn a_code_may_be_written_in_groups_at_every_door() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let group = |at: usize, mark: &str| format!("{}{mark}{}", &code[..at], &code[at..]);
    assert_eq!(vendor.show(&group(6, " "))["activated"], 0);
    vendor.ok(&["extend", &group(4, "-"), "--secs", "1"]);
    let appliance = vendor.appliance();
    let body = |code: &str| json!({ "license": code }).to_string();
    for generation in ["v1", "v2"] {
        let path = format!("/{generation}/management/license/offlineactivation");
        let asked = appliance.curl(&[
            "-u",
            "admin:admin",
            "-d",
            &body(&group(9, "\u{2013}")),
            &appliance.https(&path),
        ]);
        assert!(asked.ok().json()["certificate"].is_string(), "{generation}");
    }
    appliance.remove().ok();
    let document = appliance.apply(&group(12, " - ")).ok().json();
    assert_eq!((&document["licensed"], &document["license_code"]), (&json!(true), &json!(code)));
}
