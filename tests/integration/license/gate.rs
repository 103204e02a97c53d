//! What the gate lets through with and without a license.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::engine::Engine;
use crate::support::license::Licensed;
use crate::support::vendor::Vendor;

const REFUSAL: &str = r#"{"code": 403, "error": "Invalid or missing license", "detail": "You are not authorised to perform this action: License is invalid", "status": 403, "title": "Forbidden", "type": "about:blank"}"#;

#[test]
fn jobs_need_a_license_and_everything_else_does_not() {
    let (vendor, engine) = (Vendor::new(), Engine::start());
    let code = vendor.sell(&[]);
    let appliance =
        Appliance::start(&vendor.settings_over(&vendor.network()).speech(engine.address));
    for path in
        ["/v1.0/user/1/jobs", "/v1.0/user/1/jobs/", "/v1/user/7/jobs", "/v2/jobs", "/v2/jobs/"]
    {
        let url = appliance.https(path);
        let refused = appliance.post(&url, "{}");
        assert_eq!((refused.status, refused.out.trim_end()), (403, REFUSAL), "{path}");
    }
    for path in ["/v1.0/user/1/jobs/", "/v2/jobs", "/v1/management/ping"] {
        appliance.read(&appliance.https(path)).ok();
    }
    appliance.apply(&code).ok();
    assert_eq!(appliance.post(&appliance.https("/v2/jobs"), "{}").status, 200);
    appliance.remove().ok();
    assert_eq!(appliance.post(&appliance.https("/v2/jobs"), "{}").status, 403);
}

#[test]
fn who_may_not_come_in_is_not_told_about_the_license() {
    let (vendor, engine) = (Vendor::new(), Engine::start());
    let appliance =
        Appliance::start(&vendor.settings_over(&vendor.network()).speech(engine.address));
    let password = appliance.https("/v1/security/adminpassword");
    appliance.post(&password, r#"{"password": "secret"}"#).ok();
    let url = appliance.https("/v1.0/user/1/jobs");
    assert_eq!(appliance.post(&url, "{}").status, 401);
    assert_eq!(appliance.post_as("secret", &url, "{}").status, 403);
}

#[test]
fn the_refusal_comes_before_the_body() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, appliance.ports.speech)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client
        .write_all(b"POST /v2/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(!answer.contains("100 Continue"), "{answer}");
}

#[test]
fn methods_of_a_service_of_the_images_own_are_refused_as_its_settings_say() {
    let (vendor, engine) = (Vendor::new(), Engine::start());
    let service = json!({
        "x": {"address": engine.address.to_string(), "paths": ["/x/"], "auth": "none", "licensed": ["POST"]}
    });
    let settings = vendor.settings_over(&vendor.network()).with("services", service);
    let code = vendor.sell(&[]);
    let appliance = Appliance::start(&settings);
    let url = appliance.https("/x/work");
    assert_eq!(appliance.post(&url, "{}").status, 403);
    assert_eq!(appliance.read(&url).status, 404, "the service's own answer");
    appliance.apply(&code).ok();
    assert_eq!(appliance.post(&url, "{}").status, 404);
}

/// A WebSocket client's handshake and what came back, head and frames.
fn upgrade(port: u16, path: &str) -> (TcpStream, String, Vec<u8>) {
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    client.write_all(head.as_bytes()).unwrap();
    let mut all = Vec::new();
    let mut byte = [0];
    while !all.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        all.push(byte[0]);
    }
    (client, String::from_utf8(all).unwrap(), Vec::new())
}

#[test]
fn a_stream_is_accepted_told_why_and_closed_with_4001() {
    let vendor = Vendor::new();
    let appliance = vendor.appliance();
    for path in ["/v2", "/v2/en"] {
        let (mut client, head, mut frames) = upgrade(appliance.ports.http, path);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
        client.read_to_end(&mut frames).unwrap();
        assert_eq!(frames[0], 0x81);
        let length = usize::from(frames[1]);
        let text: Value = serde_json::from_slice(&frames[2..2 + length]).unwrap();
        assert_eq!(
            text,
            json!({
                "message": "Error", "type": "not_authorised",
                "reason": "You are not authorised to perform this action: License is invalid",
            })
        );
        let close = &frames[2 + length..];
        assert_eq!((close[0], &close[2..4]), (0x88, 4001_u16.to_be_bytes().as_slice()));
        assert_eq!(close.len(), 2 + usize::from(close[1]), "nothing after it");
    }
}

#[test]
fn a_license_that_ends_while_a_stream_runs_does_not_cut_it() {
    let vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let engine = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let service = json!({"realtime": {"address": engine.local_addr().unwrap().to_string()}});
    let settings = vendor.settings_over(&vendor.network()).with("services", service);
    let appliance = Appliance::start(&settings);
    appliance.apply(&code).ok();
    let talking = std::thread::spawn(move || {
        let (mut stream, _) = engine.accept().unwrap();
        crate::support::network::read_message(&mut stream).unwrap();
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(&word).unwrap();
        // The other end says when it is over.
        let _ = stream.read(&mut word);
    });
    let (mut client, head, _) = upgrade(appliance.ports.http, "/v2/en");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    appliance.remove().ok();
    client.write_all(b"ping").unwrap();
    let mut echo = [0; 4];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"ping");
    let (mut next, _, mut frames) = upgrade(appliance.ports.http, "/v2/en");
    next.read_to_end(&mut frames).unwrap();
    assert_eq!(frames[0], 0x81, "the next one is refused");
    drop(client);
    talking.join().unwrap();
}

#[test]
fn without_seconds_nothing_is_let_in_until_there_are_some() {
    let (vendor, engine) = (Vendor::new(), Engine::start());
    let code = vendor.sell(&["--secs", "50"]);
    let appliance =
        Appliance::start(&vendor.settings_over(&vendor.network()).speech(engine.address));
    appliance.apply(&code).ok();
    appliance.uses(50);
    assert_eq!(appliance.post(&appliance.https("/v2/jobs"), "{}").status, 403);
    let document = appliance.license();
    assert_eq!(
        (&document["licensed"], &document["message"]),
        (&json!(true), &json!("no seconds left"))
    );
    vendor.ok(&["extend", &code, "--secs", "100"]);
    appliance.apply(&code).ok();
    assert_eq!(appliance.post(&appliance.https("/v2/jobs"), "{}").status, 200);
}
