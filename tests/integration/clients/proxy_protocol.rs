//! PROXY protocol headers: in pieces, before TLS, and what follows them.

use std::net::Ipv4Addr;
use std::time::Instant;

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::client::{Client, Listener};
use crate::support::settings::{Settings, free_port};
use crate::support::stub::{Stub, field, ok};

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 2, 0, 1);

const LINE: &[u8] = b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n";

/// 192.0.2.7, with a host name and 3,000 bytes of nothing.
fn block() -> Vec<u8> {
    let mut block = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    let body = [
        &[192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x67, 1, 0xbb][..],
        b"\x02\0\x03a.b\x04\x0b\xb8",
        &[0; 3_000],
    ]
    .concat();
    block.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    block.extend(body);
    block
}

/// A plain and a TLS listener, and a service.
fn start() -> (Stub, Appliance, [Listener; 2]) {
    let service = Stub::start(|visit| {
        while visit.request().is_some() {
            visit.say(ok("served").as_bytes());
        }
    });
    let at = [false, true].map(|tls| Listener { name: "", port: free_port(), tls });
    let listen = at.map(|Listener { port, tls, .. }| {
        json!({
            "address": format!("127.0.0.1:{port}"), "serves": "all", "tls": tls,
            "trusted_proxies": ["127.2.0.1"], "proxy_protocol": true,
        })
    });
    let settings = Settings::v2().speech(service.address).with("listen", json!(listen));
    (service, Appliance::start(&settings), at)
}

const REQUEST: &str = "GET /v2/jobs HTTP/1.1\r\nHost: box\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n";

#[test]
fn a_header_is_read_before_tls_and_before_a_request() {
    let (service, appliance, listeners) = start();
    for (header, client) in [(LINE.to_vec(), "2001:db8::7"), (block(), "192.0.2.7")] {
        for at in listeners {
            service.forget();
            let known = appliance.log().len();
            let mut connection = Client::try_at_from(PROXY, at, &header).unwrap();
            for _ in 0..2 {
                connection.send(REQUEST);
                assert_eq!(connection.answer("GET").status, 200);
            }
            let tls = if at.tls { "yes" } else { "no" };
            appliance
                .logs(known, &format!("access peer={client} tls={tls} method=GET path=/v2/jobs "));
            let seen = service.texts().concat();
            assert_eq!(field(&seen, "x-forwarded-for"), Some(client), "{seen}");
            assert!(!seen.contains("198.51.100.1") && !seen.contains("PROXY"), "{seen}");
        }
    }
}

#[test]
fn a_header_may_come_byte_by_byte_and_together_with_what_follows() {
    let (_service, _appliance, [plain, _]) = start();
    let bytes = [&block()[..], REQUEST.as_bytes()].concat();
    let mut at_once = Client::try_at_from(PROXY, plain, &bytes).unwrap();
    assert_eq!(at_once.answer("GET").status, 200);

    let bytes = [LINE, REQUEST.as_bytes()].concat();
    let mut slowly = Client::try_at_from(PROXY, plain, &bytes[..1]).unwrap();
    for byte in &bytes[1..] {
        slowly.send([*byte]);
    }
    assert_eq!(slowly.answer("GET").status, 200);
}

#[test]
fn a_second_header_is_a_request_that_is_none() {
    let (service, appliance, [plain, tls]) = start();
    for second in [LINE, &block()] {
        let bytes = [LINE, second, REQUEST.as_bytes()].concat();
        let mut client = Client::try_at_from(PROXY, plain, &bytes).unwrap();
        assert_eq!(client.answer("GET").status, 400);
        assert!(client.until_end().unwrap().is_empty());
    }
    // Within TLS too.
    let mut client = Client::try_at_from(PROXY, tls, LINE).unwrap();
    client.send([LINE, REQUEST.as_bytes()].concat());
    assert_eq!(client.answer("GET").status, 400);
    assert!(service.texts().concat().is_empty());
    assert!(!appliance.log().contains(" panicked"));
}

#[test]
fn a_connection_without_a_header_is_closed_and_the_log_says_why() {
    let (service, appliance, [plain, _]) = start();
    for bytes in [REQUEST.as_bytes(), b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\n", b"\x16\x03\x01"]
    {
        let mut client = Client::try_at_from(PROXY, plain, bytes).unwrap();
        assert!(
            client.until_end().is_ok_and(|end| end.is_empty()) || client.try_send(b"x").is_err()
        );
    }
    appliance.logs(0, "security 127.2.0.1: refused on port");
    appliance.logs(0, "no valid PROXY protocol header: it has neither the signature of version 1");
    appliance.logs(0, "no valid PROXY protocol header: its line does not end in CRLF");
    assert!(service.texts().concat().is_empty());
}

#[test]
fn the_proxys_own_health_check_is_served_and_is_the_proxy() {
    let (_service, appliance, [plain, _]) = start();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for header in [&local[..], b"PROXY UNKNOWN\r\n"] {
        let mut client = Client::try_at_from(PROXY, plain, header).unwrap();
        client.send(REQUEST);
        assert_eq!(client.answer("GET").status, 200);
    }
    appliance.logs(0, "access peer=127.2.0.1 ");
    assert!(!appliance.log().contains("198.51.100.1"));
}

#[test]
#[ignore = "slow: takes 10 s"]
fn a_header_that_does_not_come_is_not_waited_for() {
    let (_service, appliance, listeners) = start();
    let begun = Instant::now();
    let mut waiting = Vec::new();
    for at in listeners {
        let plain = Listener { tls: false, ..at };
        for bytes in [&b""[..], &LINE[..20], &block()[..20]] {
            waiting.push(Client::try_at_from(PROXY, plain, bytes).unwrap());
        }
    }
    for mut client in waiting {
        let end = client.until_end();
        assert!(end.is_ok_and(|end| end.is_empty()) || client.try_send(b"x").is_err());
        assert!((9..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    }
    appliance.logs(0, "no valid PROXY protocol header: it took longer than 10 s");
}
