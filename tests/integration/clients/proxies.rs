//! Behind a proxy that adds `X-Forwarded-For` or `Forwarded`.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::client::{Client, Listener};
use crate::support::settings::{Settings, free_port};
use crate::support::stub::{Stub, field, ok};

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 2, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 3, 0, 1);

/// One plain listener behind the proxy, and a service.
fn start() -> (Stub, Appliance, Listener) {
    let service = Stub::start(|visit| {
        while visit.request().is_some() {
            visit.say(ok("served").as_bytes());
        }
    });
    let port = free_port();
    let listen = json!([{
        "address": format!("127.0.0.1:{port}"), "serves": "all", "trusted_proxies": ["127.2.0.0/16"]
    }]);
    let settings = Settings::v2().speech(service.address).with("listen", listen);
    (service, Appliance::start(&settings), Listener { name: "", port, tls: false })
}

fn get(from: Ipv4Addr, at: Listener, path: &str, lines: &str) -> u16 {
    let mut client = Client::at_from(from, at);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: box\r\n{lines}\r\n"));
    client.answer("GET").status
}

#[test]
fn the_log_and_services_are_told_the_client_and_nothing_that_it_claims() {
    let (service, appliance, at) = start();
    let forged =
        "X-Forwarded-For: 198.51.100.1, 192.0.2.7, 127.2.0.9\r\nX-Real-IP: 198.51.100.2\r\n";
    assert_eq!(get(PROXY, at, "/v2/jobs", forged), 200);
    appliance.logs(0, "access peer=192.0.2.7 tls=no method=GET path=/v2/jobs ");
    let seen = service.texts().concat();
    assert_eq!(field(&seen, "x-forwarded-for"), Some("192.0.2.7"), "{seen}");
    assert!(!seen.contains("198.51.100.") && !seen.contains("127.2.0."), "{seen}");

    service.forget();
    let forged = "Forwarded: for=198.51.100.1, for=\"[2001:db8::7]:4711\";proto=https\r\n";
    assert_eq!(get(PROXY, at, "/v2/jobs", forged), 200);
    appliance.logs(0, "access peer=2001:db8::7 ");
    let seen = service.texts().concat();
    assert_eq!(field(&seen, "x-forwarded-for"), Some("2001:db8::7"), "{seen}");
    assert_eq!(field(&seen, "x-forwarded-proto"), Some("http"), "{seen}");
    assert!(field(&seen, "forwarded").is_none(), "{seen}");

    service.forget();
    assert_eq!(get(OTHER, at, "/v2/jobs", "X-Forwarded-For: 192.0.2.9\r\n"), 200);
    appliance.logs(0, "access peer=127.3.0.1 ");
    let seen = service.texts().concat();
    assert_eq!(field(&seen, "x-forwarded-for"), Some("127.3.0.1"), "{seen}");
    assert!(!appliance.log().contains("192.0.2.9"));
}

#[test]
fn each_request_on_a_connection_of_the_proxy_has_its_own_client() {
    let (_service, appliance, at) = start();
    let mut proxy = Client::at_from(PROXY, at);
    for host in [7, 8, 9] {
        let line = format!("X-Forwarded-For: 192.0.2.{host}");
        proxy.send(format!("GET /v2/jobs HTTP/1.1\r\nHost: box\r\n{line}\r\n\r\n"));
        assert_eq!(proxy.answer("GET").status, 200);
        appliance.logs(0, &format!("access peer=192.0.2.{host} "));
    }
    proxy.send("GET /v2/jobs HTTP/1.1\r\nHost: box\r\n\r\n");
    assert_eq!(proxy.answer("GET").status, 200);
    appliance.logs(0, "access peer=127.2.0.1 ");
}

#[test]
fn who_guesses_passwords_behind_a_proxy_slows_itself_down_and_nobody_else() {
    let (_service, appliance, at) = start();
    let guess = |client: &str, number: u32, status: u16| {
        // 198.51.100.N is what the guesser claims.
        let line = format!("X-Forwarded-For: 198.51.100.{number}, {client}\r\n");
        let password = format!("Authorization: Basic {}\r\n", base64(&format!("admin:{number}")));
        let path = "/v2/management/host/about";
        assert_eq!(get(PROXY, at, path, &format!("{line}{password}")), status, "{client} {number}");
    };
    (0..11).for_each(|number| guess("192.0.2.7", number, 401));
    guess("192.0.2.7", 11, 429);
    guess("192.0.2.8", 11, 401);
    appliance.logs(0, "security 192.0.2.7: authentication failed");
    appliance.logs(0, "security 192.0.2.8: authentication failed");
    assert!(!appliance.log().contains("198.51.100."));
    // Who comes without the proxy can't speak for others.
    let path = "/v2/management/host/about";
    let good = format!("Authorization: Basic {}\r\n", base64("admin:admin"));
    let line = format!("X-Forwarded-For: 192.0.2.7\r\n{good}");
    assert_eq!(get(OTHER, at, path, &line), 200);
    assert_eq!(get(PROXY, at, path, &line), 429);
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}
