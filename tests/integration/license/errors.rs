//! The errors of ML-31 to ML-40, provoked; text, `code`, `reason`, `hint` and HTTP status.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::command::Output;
use crate::support::license::Licensed;
use crate::support::settings::free_port;
use crate::support::vendor::Vendor;

const LICENSE: &str = "/v1/management/license";
const OFFLINE: &str = "/v1/management/license/offlineactivation";
const MODE: &str = "/v1/management/license/offlinemode";

/// A text as v1 writes what its own services said.
pub(crate) fn rpc(word: &str, details: &str) -> String {
    format!(
        "Error happened in the license_management service: ModelException: Unknown Rpc Error. Status \
         code=StatusCode.{word}: <_Rendezvous of RPC that terminated with:\n\tstatus = \
         StatusCode.{word}\n\tdetails = \"{details}\"\n>"
    )
}

#[track_caller]
pub(crate) fn fails(output: &Output, status: u16, error: &str, reason: &str) -> Value {
    let code = if status == 400 { 3 } else { 13 };
    let body = output.json();
    assert_eq!(output.status, status, "{output:?}");
    assert_eq!(
        (&body["error"], &body["code"], &body["reason"]),
        (&json!(error), &json!(code), &json!(reason))
    );
    assert!(body["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 4, "{body}");
    body
}

/// A call to v2 has the detail alone.
fn fails_plainly(appliance: &Appliance, method: &str, path: &str, body: &str, detail: &str) {
    let url = appliance.https(&path.replace("/v1/", "/v2/"));
    let output = appliance.curl(&["-u", "admin:admin", "-X", method, "-d", body, &url]);
    assert_eq!(output.json()["error"], detail, "{output:?}");
}

#[test]
fn a_code_that_nobody_sold_is_not_activated() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    let unknown = appliance.apply("494900000000000000");
    fails(&unknown, 400, "Input exception: Not activated", "unknown_license");
    for code in ["4949", "49490000000000000x", "invalid"] {
        fails(&appliance.apply(code), 400, "Input exception: Not activated", "unknown_license");
    }
    let body = json!({"license": "494900000000000000"}).to_string();
    fails_plainly(&appliance, "POST", LICENSE, &body, "Input exception: Not activated");
    assert_eq!(appliance.license()["status"], "-113 License status server trial expired");
}

#[test]
fn what_the_vendor_has_ended_is_not_activated_and_says_which() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    let suspended = vendor.sell(&[]);
    vendor.ok(&["suspend", &suspended]);
    let revoked = vendor.sell(&[]);
    vendor.ok(&["revoke", &revoked]);
    let other_product = vendor.sell(&["--product", "999"]);
    for (code, reason) in [
        (&suspended, "license_suspended"),
        (&revoked, "license_revoked"),
        (&other_product, "unknown_license"),
    ] {
        fails(&appliance.apply(code), 400, "Input exception: Not activated", reason);
    }
}

#[test]
fn a_license_in_force_is_not_replaced_by_another() {
    let vendor = Vendor::new();
    let (first, second) = (vendor.sell(&[]), vendor.sell(&[]));
    let appliance = vendor.appliance();
    appliance.apply(&first).ok();
    fails(&appliance.apply(&second), 400, "Input exception: Not activated", "license_present");
    assert_eq!(appliance.license()["license_code"], first);
    assert_eq!(appliance.apply(&first).ok().json()["license_code"], first, "again: no second seat");
    assert_eq!(vendor.show(&first)["activated"], 1);
}

#[test]
fn an_activation_that_reaches_nobody_says_which_hop_failed() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let offline = "Input exception: Not activated - Cannot activate when offline";
    let appliance = Appliance::start(&vendor.settings(free_port()));
    let refused = fails(&appliance.apply(&code), 400, offline, "connect");
    assert!(refused["hint"].as_str().unwrap().contains("can't be reached"), "{refused}");
    fails_plainly(&appliance, "POST", LICENSE, &json!({ "license": code }).to_string(), offline);
    let document = appliance.license();
    assert_eq!((&document["licensed"], &document["connected"]), (&json!(false), &json!(false)));
    assert_eq!(document["status"], "-113 License status server trial expired");

    let nowhere = vendor.license_settings("http://license.invalid/");
    let settings = crate::support::settings::Settings::both().with("license", nowhere);
    let appliance = Appliance::start(&settings);
    let unknown = fails(&appliance.apply(&code), 400, offline, "resolve");
    assert!(unknown["hint"].as_str().unwrap().contains("license.invalid"), "{unknown}");
}

#[test]
#[ignore = "slow: takes 20 s"]
fn a_firewall_that_swallows_packets_is_the_manuals_port_80() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    // A listener whose queue is full lets new connections hang, as a firewall that drops does.
    let full = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let address = full.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(connection) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        held.push(connection);
    }
    let appliance = Appliance::start(&vendor.settings(address.port()));
    let blocked = rpc("CANCELLED", "Received RST_STREAM with error code 8");
    fails(&appliance.apply(&code), 500, &blocked, "blocked");
    let body = json!({ "license": code }).to_string();
    fails_plainly(&appliance, "POST", LICENSE, &body, "Received RST_STREAM with error code 8");
}

#[test]
fn giving_back_without_a_route_changes_nothing() {
    let mut vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let appliance = vendor.appliance();
    appliance.apply(&code).ok();
    vendor.kill();
    let blocked = rpc("CANCELLED", "Received RST_STREAM with error code 8");
    fails(&appliance.remove(), 500, &blocked, "connect");
    assert_eq!(appliance.license()["licensed"], true);
    vendor.serve();
    assert_eq!(appliance.remove().ok().out, r#"{"transcription_secs_returned": 3600}"#);
}

#[test]
fn a_certificate_sent_with_post_is_the_manuals_1121() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let appliance = vendor.appliance();
    let asked = json!({ "license": code }).to_string();
    let request = appliance.call("POST", OFFLINE, &asked).ok().json();
    let license = vendor.sign(request["certificate"].as_str().unwrap());
    let mistaken = json!({"license": code, "certificate": license}).to_string();
    let detail = "Unable to request activation certificate: -1121";
    let refused = appliance.call("POST", OFFLINE, &mistaken);
    let body = fails(&refused, 500, &rpc("UNKNOWN", detail), "certificate_request_pending");
    assert!(body["hint"].as_str().unwrap().contains("PUT"), "{body}");
    fails_plainly(&appliance, "POST", OFFLINE, &mistaken, detail);
    // The request is kept, so nothing has to be repeated.
    assert_eq!(appliance.call("POST", OFFLINE, &asked).ok().json(), request);
    let other = json!({"license": "494900000000000000"}).to_string();
    let pending = appliance.call("POST", OFFLINE, &other);
    fails(&pending, 500, &rpc("UNKNOWN", detail), "certificate_request_pending");
    assert_eq!(appliance.call("PUT", OFFLINE, &mistaken).ok().json()["licensed"], true);
}

#[test]
fn offline_mode_without_permission_is_the_manuals_refusal() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let appliance = vendor.appliance();
    let detail = "Offline mode not enabled for this license";
    let go = r#"{"offline": true}"#;
    let unlicensed = appliance.call("POST", MODE, go);
    fails(&unlicensed, 500, &rpc("UNKNOWN", detail), "offline_mode_not_enabled");
    appliance.apply(&code).ok();
    let refused = appliance.call("POST", MODE, go);
    fails(&refused, 500, &rpc("UNKNOWN", detail), "offline_mode_not_enabled");
    fails_plainly(&appliance, "POST", MODE, go, detail);
    assert_eq!(appliance.license()["connected"], true);
}

#[test]
fn in_offline_mode_nothing_is_removed_or_activated_and_not_a_byte_is_sent() {
    let vendor = Vendor::new();
    let network = vendor.network();
    let code = vendor.sell(&["--offline-mode"]);
    let mut appliance = Appliance::start(&vendor.settings(network.port));
    appliance.apply(&code).ok();
    appliance.call("POST", MODE, r#"{"offline": true}"#).ok();
    let before = network.questions().len();
    let detail = "Cannot remove license in offline mode";
    fails(&appliance.remove(), 500, &rpc("UNKNOWN", detail), "offline_mode");
    fails_plainly(&appliance, "DELETE", LICENSE, "", detail);
    let offline = "Input exception: Not activated - Cannot activate when offline";
    fails(&appliance.apply(&code), 400, offline, "offline_mode");
    appliance.license();
    appliance.curl(&["-X", "DELETE", &appliance.management("/v1/management/services")]).ok();
    appliance.restart();
    assert_eq!(appliance.license()["connected"], false);
    assert_eq!(appliance.license()["licensed"], true);
    assert_eq!(network.questions().len(), before, "something was sent in offline mode");
}
