//! `/healthz`, as a load balancer asks: without a password, and told nothing but whether to send work.

use std::net::{Ipv4Addr, TcpListener};

use rustix::process::Signal;
use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;
use crate::support::stub::Stub;
use crate::support::wait::{SOON, until};

fn is_ready(appliance: &Appliance) -> bool {
    let told = appliance.read(&appliance.https("/healthz"));
    match (told.status, told.out.as_str()) {
        (200, "ok\n") => true,
        (503, "unavailable\n") => false,
        _ => panic!("{told:?}"),
    }
}

#[test]
fn it_asks_for_no_password_on_every_port_that_serves_all_or_management() {
    for (v, settings) in [("v1", Settings::v1()), ("v2", Settings::v2()), ("v1", Settings::both())]
    {
        let engine = Stub::answering("");
        let appliance = Appliance::start(&settings.speech(engine.address));
        let security = |call: &str| appliance.https(&format!("/{v}/security/{call}"));
        let body = r#"{"password": "correct horse"}"#;
        appliance.post_as("admin", &security("adminpassword"), body).ok();
        for url in [
            appliance.http("/healthz"),
            appliance.https("/healthz"),
            appliance.management("/healthz"),
            appliance.http("/healthz?from=balancer"),
        ] {
            let told = appliance.read(&url);
            assert_eq!((told.status, told.out.as_str()), (200, "ok\n"), "{url}");
            assert_eq!(appliance.read_as("wrong", &url).status, 200, "{url}");
        }
        let posted = appliance.curl(&["-i", "-d", "x", &appliance.https("/healthz")]).out;
        assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
        assert!(posted.contains("\r\nAllow: GET, HEAD\r\n"), "{posted}");
        let head = appliance.curl(&["-I", &appliance.https("/healthz")]).out;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.to_ascii_lowercase().contains("\r\ncache-control: no-store\r\n"), "{head}");
        for port in [appliance.ports.v1_monitoring, appliance.ports.speech] {
            let told = appliance.read(&format!("http://127.0.0.1:{port}/healthz"));
            assert!(matches!(told.status, 401 | 404), "{told:?}");
        }
        // Where plain HTTP is off, it is off.
        let off = r#"{"enable_insecure_ports": false}"#;
        appliance.post_as("correct horse", &security("insecureports"), off).ok();
        assert_eq!(appliance.read(&appliance.http("/healthz")).status, 301);
        assert_eq!(appliance.read(&appliance.management("/healthz")).code, 52);
        assert!(is_ready(&appliance));
    }
}

#[test]
fn it_is_503_while_no_engine_takes_connections() {
    let engine = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = engine.local_addr().unwrap();
    let appliance = Appliance::start(&Settings::both().speech(address));
    assert!(is_ready(&appliance), "one of two engines is enough");
    drop(engine);
    until(SOON, "the engine is missed", || (!is_ready(&appliance)).then_some(()));
    let _engine = TcpListener::bind(address).unwrap();
    until(SOON, "the engine is found", || is_ready(&appliance).then_some(()));
}

#[test]
fn it_is_503_without_a_license_unless_a_service_needs_none() {
    let service = Stub::answering("");
    let unlicensed = Settings::both().with("license", json!({"trust_file": "/nowhere/trust.json"}));
    let engine = unlicensed.speech(service.address);
    assert!(!is_ready(&Appliance::start(&engine)));
    let own = json!({"address": service.address.to_string(), "paths": ["/x/"]});
    assert!(is_ready(&Appliance::start(&engine.clone().service("x", own))));
    let own =
        json!({"address": service.address.to_string(), "paths": ["/x/"], "licensed": ["POST"]});
    assert!(!is_ready(&Appliance::start(&engine.service("x", own))));
}

#[test]
fn it_is_503_while_the_appliance_stops() {
    let engine = Stub::start(|visit| {
        visit.head();
        visit.await_end();
    });
    let mut appliance = Appliance::start(&Settings::both().speech(engine.address));
    let socket = appliance.control_socket();
    let ask = || appliance.curl(&["--unix-socket", socket.to_str().unwrap(), "http://x/healthz"]);
    assert_eq!(ask().status, 200);
    let url = appliance.http("/v2/jobs");
    let mut client = appliance.curl_in_background(&[&url]);
    until(SOON, "the engine is asked", || {
        engine.texts().concat().contains("\r\n\r\n").then_some(())
    });
    appliance.signal(Signal::TERM);
    until(SOON, "load balancers are told", || (ask().status == 503).then_some(()));
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(appliance.ended(SOON).success());
}

#[test]
fn a_service_cannot_have_its_path() {
    let own = json!({"address": "127.0.0.1:1", "paths": ["/healthz/"]});
    let appliance = Appliance::prepare(&Settings::both().service("x", own));
    let told = appliance.program("check", &[]);
    assert_ne!(told.code, 0);
    assert!(told.err.contains(r#""/healthz/" overlaps with the appliance's own"#), "{told:?}");
}
