//! WebSockets: bytes both ways as they are, from the upgrade to the last word of either side.

use crate::support::appliance::Appliance;
use crate::support::client::{Client, Listener};
use crate::support::settings::Settings;
use crate::support::stub::{Stub, Visit, field};
use crate::support::wait::{SOON, until};

pub(crate) const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Every listener that takes WebSockets, and a path there.
fn listeners(appliance: &Appliance) -> Vec<(Listener, &'static str)> {
    let ports = &appliance.ports;
    let listener = |name, port, tls| Listener { name, port, tls };
    vec![
        (listener("443", ports.https, true), "/v2"),
        (listener("443", ports.https, true), "/v2/en"),
        (listener("80", ports.http, false), "/v2/en"),
        (listener("9000", ports.v1_realtime, true), "/"),
        (listener("9000", ports.v1_realtime, true), "/v2"),
        (listener("9004", ports.v2_realtime, true), "/v2/en"),
        (listener("9004", ports.v2_realtime, true), "/"),
    ]
}

/// An appliance in front of a service that switches and plays `part` then.
pub(crate) fn switching(part: impl Fn(&mut Visit) + Send + Sync + 'static) -> (Stub, Appliance) {
    let stub = Stub::start(move |visit| {
        visit.head();
        visit.say(SWITCH);
        part(visit);
    });
    let appliance = Appliance::start(&Settings::both().realtime(stub.address));
    (stub, appliance)
}

pub(crate) fn echo(visit: &mut Visit) {
    loop {
        let some = visit.some();
        if some.is_empty() || !visit.say(&some) {
            return;
        }
    }
}

/// What a browser sends.
pub(crate) fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Pieces of sizes that repeat for no buffer.
fn pieces() -> Vec<Vec<u8>> {
    let mut seed = 7_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 8
    };
    let mut sizes: Vec<usize> = (0..60).map(|_| next() as usize % 70_000).collect();
    sizes.extend([1, 125, 126, 127, 16_384, 32_767, 32_768, 32_769, 65_535, 65_536]);
    sizes.into_iter().map(|size| (0..size).map(|_| next() as u8).collect()).collect()
}

#[test]
fn every_door_and_path_for_websockets_passes_bytes_both_ways_as_they_are() {
    let (stub, appliance) = switching(echo);
    for (listener, path) in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send(upgrade(path));
        let head = client.head();
        assert!(
            head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
            "{listener:?} {path}: {head}"
        );
        for piece in pieces() {
            client.send(&piece);
            assert!(
                client.bytes(piece.len()).unwrap() == piece,
                "{listener:?} {path}: {} bytes",
                piece.len()
            );
        }
        assert!(
            stub.texts().concat().starts_with(&format!("GET {path} HTTP/1.1\r\n")),
            "{listener:?}"
        );
        drop(client);
        stub.forget();
    }
}

#[test]
fn the_fields_of_the_upgrade_pass_untouched_but_a_length_it_must_not_have() {
    let stub = Stub::start(|visit| {
        visit.head();
        visit.say(
            b"HTTP/1.1 101 Web Socket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: abc=\r\n\
              Content-Length: 0\r\nSec-WebSocket-Protocol: v1\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n",
        );
        visit.await_end();
    });
    let appliance = Appliance::start(&Settings::both().realtime(stub.address));
    for (listener, path) in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send(format!(
            "GET {path}?jwt=a.b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer x\r\n\
             Origin: https://a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v1, v2\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_no_context_takeover\r\n\r\n"
        ));
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 101 Web Socket\r\n"), "{head}");
        assert_eq!(field(&head, "sec-websocket-accept"), Some("abc="));
        assert_eq!(field(&head, "content-length"), None);
        assert_eq!(field(&head, "sec-websocket-protocol"), Some("v1"));
        let extensions = "permessage-deflate; server_no_context_takeover";
        assert_eq!(field(&head, "sec-websocket-extensions"), Some(extensions));
        assert_eq!(
            (field(&head, "upgrade"), field(&head, "connection")),
            (Some("websocket"), Some("Upgrade"))
        );

        let seen = stub.texts().concat();
        let proto = if listener.tls { "https" } else { "http" };
        let expected = format!(
            "GET {path}?jwt=a.b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\
             Origin: https://a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v1, v2\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_no_context_takeover\r\n\
             X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: {proto}\r\nX-Forwarded-Host: localhost\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        assert_eq!(seen, expected, "{listener:?}");
        stub.forget();
    }
}

#[test]
fn bytes_right_behind_the_upgrade_and_right_behind_the_101_are_not_lost() {
    let stub = Stub::start(|visit| {
        visit.head();
        visit.say(&[SWITCH, b"first word"].concat());
        echo(visit);
    });
    let appliance = Appliance::start(&Settings::both().realtime(stub.address));
    for (listener, path) in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send(upgrade(path) + "right behind");
        client.head();
        assert_eq!(client.bytes(22).unwrap(), b"first wordright behind", "{listener:?}");
    }
}

#[test]
fn a_client_that_has_finished_still_hears_the_service_out() {
    let (_stub, appliance) = switching(|visit| {
        visit.through(b"last word");
        visit.await_end();
        visit.say(b"answer to the last word");
    });
    for (listener, path) in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send(upgrade(path));
        client.head();
        client.send("last word");
        client.finish();
        assert_eq!(client.until_end().unwrap(), b"answer to the last word", "{listener:?}");
    }
}

#[test]
fn a_service_that_has_finished_still_hears_the_client_out() {
    let (stub, appliance) = switching(|visit| {
        visit.say(b"I listen");
        visit.finish();
        visit.await_end();
    });
    for (listener, path) in listeners(&appliance) {
        stub.forget();
        let mut client = Client::at(listener);
        client.send(upgrade(path));
        client.head();
        assert_eq!(client.until_end().unwrap(), b"I listen", "{listener:?}");
        client.send(vec![b'x'; 100_000]);
        client.finish();
        until(SOON, "the service has it all", || {
            let seen = stub.recorded().concat();
            (seen.iter().filter(|byte| **byte == b'x').count() >= 100_000).then_some(())
        });
    }
}

#[test]
fn the_last_words_of_a_service_that_hangs_up_on_a_talking_client_arrive() {
    let words = "goodbye".repeat(3_000);
    let said = words.clone();
    let (_stub, appliance) = switching(move |visit| {
        visit.bytes(1);
        visit.say(said.as_bytes());
        // What the client goes on sending is never read, which makes the close a reset.
    });
    for (listener, path) in listeners(&appliance) {
        for _ in 0..5 {
            let mut client = Client::at(listener);
            client.send(upgrade(path));
            client.head();
            let sent = client.try_send(&vec![0; 4 << 20]);
            let heard = client.until_end();
            let heard = heard.unwrap_or_else(|e| panic!("{listener:?}: {e}; sent: {sent:?}"));
            assert_eq!(String::from_utf8_lossy(&heard), words, "{listener:?}");
        }
    }
}

#[test]
fn a_service_that_refuses_the_upgrade_is_heard() {
    let stub = Stub::start(|visit| {
        while visit.request().is_some() {
            visit.say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nquota");
        }
    });
    let appliance = Appliance::start(&Settings::both().realtime(stub.address));
    for (listener, path) in listeners(&appliance) {
        let mut client = Client::at(listener);
        for _ in 0..2 {
            client.send(upgrade(path));
            let answer = client.answer("GET");
            assert_eq!((answer.status, answer.text()), (403, "quota".into()), "{listener:?}");
        }
    }
}

#[test]
fn a_service_that_answers_200_to_an_upgrade_gets_no_tunnel() {
    let stub = Stub::answering("page");
    let appliance = Appliance::start(&Settings::both().realtime(stub.address));
    for (listener, path) in listeners(&appliance) {
        stub.forget();
        let mut client = Client::at(listener);
        client.send(upgrade(path) + "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = client.answer("GET");
        assert_eq!((answer.status, answer.text()), (200, "page".into()), "{listener:?}");
        // What stands behind is a request like any other, judged and not tunnelled.
        assert_eq!(client.answer("GET").status, 404, "{listener:?}");
        assert!(!stub.texts().concat().contains("smuggled"), "{listener:?}");
    }
}

#[test]
fn paths_and_requests_that_are_no_websocket_find_nothing_there() {
    let stub = Stub::answering("page");
    let appliance = Appliance::start(&Settings::both().realtime(stub.address));
    let elsewhere = ["/v2/en/x", "/v2x", "/v3", "/v2/en/", "/v1/en"];
    for port in [appliance.ports.v2_realtime, appliance.ports.https] {
        for path in elsewhere {
            let mut client = Client::tls(port);
            client.send(upgrade(path));
            assert_eq!(client.answer("GET").status, 404, "{path}");
        }
        for request in [
            "GET /v2/en HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            upgrade("/v2/en").replace("GET", "POST"),
            upgrade("/v2/en").replace("HTTP/1.1", "HTTP/1.0"),
            upgrade("/v2/en").replace("Upgrade: WebSocket", "Upgrade: h2c"),
            upgrade("/v2/en").replace("keep-alive, Upgrade", "keep-alive"),
        ] {
            let mut client = Client::tls(port);
            client.send(&request);
            assert_eq!(client.answer("GET").status, 404, "{request}");
        }
    }
    assert!(stub.recorded().is_empty());
}

#[test]
fn a_service_that_is_not_there_is_a_bad_gateway_for_websockets_too() {
    let appliance = Appliance::start(
        &Settings::both()
            .service("realtime", serde_json::json!({"address": "unix:/nonexistent/socket"})),
    );
    for (listener, path) in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send(upgrade(path));
        assert_eq!(client.answer("GET").status, 502, "{listener:?}");
    }
}
