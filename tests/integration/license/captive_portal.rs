//! What stands in the way to the license service and answers in its place: login pages, redirects, errors
//! of its own, floods, a byte at a time, or nothing. None of it activates, and none of it takes anything.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::license::Licensed;
use crate::support::network::{Fault, read_message};
use crate::support::settings::Settings;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

const NETWORK: &str = "/v1/management/license/network";
const OFFLINE: &str = "Input exception: Not activated - Cannot activate when offline";
const UNLICENSED: &str = "-113 License status server trial expired";

/// A proxy that answers every call itself.
fn portal(answer: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                if read_message(&mut client).is_some() {
                    answer(&mut client);
                }
            });
        }
    });
    port
}

/// An appliance whose only way to its authority is a proxy on that port.
fn behind(vendor: &Vendor, port: u16) -> Appliance {
    let license = vendor.license_settings(&format!("http://127.0.0.1:{}/", vendor.port()));
    let appliance = Appliance::start(&Settings::both().with("license", license));
    use_proxy(&appliance, port);
    appliance
}

fn use_proxy(appliance: &Appliance, port: u16) {
    let body = json!({"http_configuration": {"ip": "127.0.0.1", "port": port}}).to_string();
    appliance.call("POST", NETWORK, &body).ok();
}

#[test]
fn whatever_answers_in_place_of_the_service_is_named_and_activates_nothing() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let page = "<!DOCTYPE html><html>Sign in to the guest network</html>";
    let long = "x".repeat(1 << 20);
    for (answer, words) in [
        (http("200 OK", page), "answered with a web page (HTTP 200)"),
        (http("302 Found\r\nLocation: http://127.0.0.1:1/", ""), "answered with HTTP 302"),
        (http("503 Service Unavailable", "later"), "answered with HTTP 503"),
        (http("200 OK", &long), "more than 65536 bytes"),
    ] {
        let port = portal(move |client| drop(client.write_all(&answer)));
        let appliance = behind(&vendor, port);
        let refused = appliance.apply(&code);
        let body = refused.json();
        assert_eq!((refused.status, &body["error"]), (400, &json!(OFFLINE)), "{body}");
        assert_eq!(body["reason"], "not_our_service", "{body}");
        let hint = body["hint"].as_str().unwrap();
        assert!(hint.contains(words) && hint.contains(&format!("127.0.0.1:{port}")), "{hint}");
        let document = appliance.license();
        assert_eq!(
            (&document["licensed"], &document["status"]),
            (&json!(false), &json!(UNLICENSED))
        );
        assert!(document["error_message"].as_str().unwrap().contains(words), "{document}");
    }
    assert_eq!(vendor.show(&code)["activated"], 0);
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into()
}

#[test]
#[ignore = "slow: takes 30 s"]
fn who_answers_a_byte_a_second_is_given_up_and_the_license_is_told_meanwhile() {
    is_given_up(|client| {
        let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n");
        while client.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_secs(1));
        }
    });
}

#[test]
#[ignore = "slow: takes 30 s"]
fn who_answers_nothing_is_given_up_and_the_license_is_told_meanwhile() {
    is_given_up(|client| drop(client.read(&mut [0])));
}

fn is_given_up(answer: impl Fn(&mut TcpStream) + Clone + Send + 'static) {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let appliance = behind(&vendor, portal(answer));
    let waits = AtomicBool::new(true);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let refused = appliance.apply(&code);
            waits.store(false, Ordering::SeqCst);
            refused
        });
        until(SOON, "the question is out", || {
            appliance.state("license.json").exists().then_some(())
        });
        let document = appliance.license();
        assert_eq!((&document["licensed"], &document["connected"]), (&json!(false), &json!(false)));
        assert!(waits.load(Ordering::SeqCst), "the license was told only after the call");
        let refused = asking.join().unwrap();
        let body = refused.json();
        assert_eq!((refused.status, &body["error"]), (400, &json!(OFFLINE)), "{body}");
        assert_eq!(body["reason"], "broken_off", "{body}");
        let hint = body["hint"].as_str().unwrap();
        assert!(hint.contains("took too long: the whole call may take 30 s"), "{hint}");
    });
    assert_eq!(appliance.license()["status"], UNLICENSED);
    assert_eq!(vendor.show(&code)["activated"], 0);
}

#[test]
fn who_passes_a_call_on_and_then_asks_for_a_password_takes_nothing() {
    let vendor = Vendor::new();
    let network = vendor.network();
    let code = vendor.sell(&[]);
    let forged = String::from_utf8(http("407 Proxy Authentication Required", "")).unwrap();
    let appliance = Appliance::start(&vendor.settings_over(&network));
    let accounts = |wanted: [u64; 4]| {
        let known = vendor.show(&code);
        let told =
            ["activated", "secs_held", "secs_used", "takeovers"].map(|name| known[name].clone());
        assert_eq!(told, wanted.map(Value::from), "{known}");
    };
    network.set(Fault::Forge(forged.clone()));
    let refused = appliance.apply(&code);
    assert_eq!(refused.json()["reason"], "proxy_authentication", "{refused:?}");
    accounts([1, 3_600, 0, 0]);
    network.set(Fault::None);
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    accounts([1, 3_600, 0, 0]);

    appliance.uses(100);
    network.set(Fault::Forge(forged));
    assert_eq!(appliance.remove().json()["reason"], "proxy_authentication");
    network.set(Fault::None);
    until(SOON, "the return is confirmed", || {
        (appliance.license()["status"] == UNLICENSED).then_some(())
    });
    accounts([0, 0, 100, 0]);
}

#[test]
fn a_question_that_is_still_open_does_not_cost_the_seconds_for_offline_mode() {
    let vendor = Vendor::new();
    let network = vendor.network();
    let code = vendor.sell(&["--offline-mode", "--offline-secs", "180000"]);
    let appliance = Appliance::start(&vendor.settings_over(&network));
    appliance.apply(&code).ok();
    appliance.uses(10);
    network.set(Fault::LoseAnswers);
    appliance.apply(&code).ok(); // nobody answers, so it stays to be asked again
    network.set(Fault::None);
    let mode = "/v1/management/license/offlinemode";
    let document = appliance.call("POST", mode, r#"{"offline": true}"#).ok().json();
    assert_eq!(document["transcription_secs_allowed"], 180_000, "{document}");
    assert_eq!(vendor.show(&code)["secs_used"], 10);
}
