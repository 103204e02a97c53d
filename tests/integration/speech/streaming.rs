//! Bodies, interim answers and framing on their way through, at plain and TLS listeners.

use serde_json::json;

use crate::speech::fixture::{fixture, listeners};
use crate::support::appliance::Appliance;
use crate::support::client::{Answer, Client, Listener};
use crate::support::folder::Folder;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, field, ok};
use crate::support::wait::{SOON, until};

/// A service that answers every request with these bytes.
fn saying(answer: &'static str) -> (Stub, Appliance) {
    fixture(move |visit| while visit.request().is_some() && visit.say(answer.as_bytes()) {})
}

/// A service that answers one request with these bytes and hangs up.
fn saying_goodbye(answer: &'static str) -> (Stub, Appliance) {
    fixture(move |visit| {
        visit.request();
        visit.say(answer.as_bytes());
    })
}

fn ask(listener: Listener, method: &str, version: &str) -> Answer {
    let mut client = Client::at(listener);
    client.send(format!("{method} /v2/jobs {version}\r\nHost: localhost\r\n\r\n"));
    client.answer(method)
}

#[test]
fn bodies_of_known_and_unknown_length_pass_both_ways_byte_by_byte_the_same() {
    let (_stub, appliance) = fixture(|visit| {
        while let Some((head, body)) = visit.request() {
            let framing = match field(&head, "content-length") {
                Some(length) => format!("Content-Length: {length}"),
                None => "Transfer-Encoding: chunked".to_owned(),
            };
            visit.say(format!("HTTP/1.1 201 Created\r\n{framing}\r\n\r\n").as_bytes());
            visit.say(&body);
        }
    });
    let content: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener);
        for round in 0..3 {
            let head = "POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\n";
            client.send(format!("{head}Content-Length: {}\r\n\r\n", content.len()));
            client.send(&content);
            let answer = client.answer("POST");
            assert_eq!(
                (answer.status, answer.body == content),
                (201, true),
                "{listener:?} {round}"
            );
            assert_eq!(answer.field("content-length"), Some("100000"), "{listener:?} {round}");

            client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
            for piece in content.chunks(1 + 7_777 * (round + 1)) {
                client.send([format!("{:X}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
            }
            client.send("0\r\n\r\n");
            let answer = client.answer("POST");
            assert_eq!(
                (answer.status, answer.body == content),
                (201, true),
                "{listener:?} {round}"
            );
            assert_eq!(answer.field("transfer-encoding"), Some("chunked"), "{listener:?} {round}");
        }
    }
}

#[test]
fn each_piece_of_a_body_arrives_before_the_next_is_sent_in_either_direction() {
    let (_stub, appliance) = fixture(|visit| {
        visit.head();
        visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // What comes in goes out at once, framing and all, to the last chunk.
        while let Some(chunk) = visit.bytes(6) {
            visit.say(&chunk);
        }
    });
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send(
            "POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        client.head();
        for turn in 0..10 {
            let chunk = format!("1\r\n{turn}\r\n");
            client.send(&chunk);
            assert_eq!(client.bytes(6).unwrap(), chunk.as_bytes(), "{listener:?}");
        }
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it_from_the_service_and_then_the_answer() {
    let (stub, appliance) = fixture(|visit| {
        while let Some(head) = visit.head() {
            assert_eq!(field(&head, "expect"), Some("100-continue"));
            // With fields that such an answer has no use for, and one that it must not have.
            visit.say(b"HTTP/1.1 100 Continue\r\nServer: x\r\nContent-Length: 0\r\n\r\n");
            let body = visit.bytes(5).unwrap();
            visit.say(ok("done").as_bytes());
            assert_eq!(body, b"hello");
        }
    });
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send("POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n", "{listener:?}");
        assert!(!stub.texts().concat().contains("hello"), "{listener:?}: nobody sent a body yet");
        client.send("hello");
        assert_eq!(client.answer("POST").text(), "done", "{listener:?}");
        stub.forget();
    }
}

#[test]
fn a_client_that_waits_for_100_and_is_refused_at_once_is_asked_for_no_body() {
    for status in ["403 Forbidden", "413 Content Too Large"] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
        let (stub, appliance) = fixture(move |visit| {
            visit.head();
            visit.say(answer.as_bytes());
            visit.await_end();
        });
        for listener in listeners(&appliance) {
            let mut client = Client::at(listener);
            client.send("POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
            let head = client.head();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{listener:?}: {head}");
            assert!(head.contains("\r\nConnection: close\r\n"), "{listener:?}: {head}");
            assert_eq!(client.until_end().unwrap(), b"no", "{listener:?}");
        }
        assert!(stub.texts().iter().all(|text| text.ends_with("\r\n\r\n")), "{:?}", stub.texts());
    }
}

#[test]
fn the_gates_own_refusal_asks_for_no_body_either() {
    let (stub, appliance) = saying("");
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        assert!(client.head().starts_with("HTTP/1.1 404 "), "{listener:?}");
        client.until_end().unwrap();
    }
    assert!(stub.recorded().is_empty());
}

#[test]
fn early_hints_reach_clients_of_http_1_1_and_nobody_gets_a_100_unasked() {
    let (_stub, appliance) = saying(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 0\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    );
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send("GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.head(), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "{listener:?}");
        assert_eq!(client.answer("GET").text(), "hi", "{listener:?}");

        let mut old = Client::at(listener);
        old.send("GET /v2/jobs HTTP/1.0\r\n\r\n");
        assert!(old.head().starts_with("HTTP/1.1 200 OK\r\n"), "{listener:?}");
        assert_eq!(old.until_end().unwrap(), b"hi", "{listener:?}");
    }
}

#[test]
fn answers_without_a_body_keep_their_fields_and_the_connection() {
    for (method, answer, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", Some("12345")),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("HEAD", "HTTP/1.1 404 Not Found\r\n\r\n", None),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n",
            Some("77"),
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("DELETE", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Content-Length\r\n\r\n",
            Some("0"),
        ),
    ] {
        let (stub, appliance) = saying(answer);
        for listener in listeners(&appliance) {
            let mut client = Client::at(listener);
            for _ in 0..3 {
                client.send(format!("{method} /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"));
                let seen = client.answer(method);
                assert_eq!(seen.field("content-length"), length, "{method} {answer:?}: {seen:?}");
                assert!(
                    answer.starts_with(seen.head.lines().next().unwrap()),
                    "{method} {answer:?}: {seen:?}"
                );
            }
        }
        // A client can be quicker with a new connection than the gate with putting the old one back.
        assert!(stub.recorded().len() <= 2, "{method} {answer:?}: kept open towards the service");
    }
}

#[test]
fn trailers_reach_clients_that_know_chunks() {
    let (_stub, appliance) = saying(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;x=y\r\nabc\r\n0\r\nX-Sum: 9\r\nContent-Length: 1\r\n\r\n",
    );
    for listener in listeners(&appliance) {
        let answer = ask(listener, "GET", "HTTP/1.1");
        assert_eq!(answer.field("trailer"), Some("X-Sum"), "{listener:?}");
        assert_eq!(
            (answer.text(), answer.trailers),
            ("abc".into(), "X-Sum: 9\r\n".into()),
            "{listener:?}"
        );
        // HTTP/1.0 has neither chunks nor trailers.
        let old = ask(listener, "GET", "HTTP/1.0");
        assert_eq!(
            (old.field("transfer-encoding"), old.text()),
            (None, "abc".into()),
            "{listener:?}"
        );
        assert_eq!(old.field("connection"), Some("close"), "{listener:?}");
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_ends_with_a_last_chunk_for_http_1_1() {
    for answer in ["HTTP/1.1 200 OK\r\n\r\nall of it", "HTTP/1.0 200 OK\r\n\r\nall of it"] {
        let (_stub, appliance) = saying_goodbye(answer);
        for listener in listeners(&appliance) {
            let mut client = Client::at(listener);
            for _ in 0..2 {
                client.send("GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
                let new = client.answer("GET");
                assert_eq!(
                    new.field("transfer-encoding"),
                    Some("chunked"),
                    "{answer:?} {listener:?}"
                );
                assert_eq!(new.text(), "all of it", "{answer:?} {listener:?}");
            }
            let old = ask(listener, "GET", "HTTP/1.0");
            assert_eq!(old.field("transfer-encoding"), None, "{answer:?} {listener:?}");
            assert_eq!(old.text(), "all of it", "{answer:?} {listener:?}");
        }
    }
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    let (stub, appliance) = fixture(|visit| {
        while let Some((head, body)) = visit.request() {
            let target = head.split(' ').nth(1).unwrap().to_owned();
            visit.say(
                ok("")
                    .replace(
                        "Content-Length: 0",
                        &format!("Content-Length: {}", target.len() + body.len()),
                    )
                    .as_bytes(),
            );
            visit.say(target.as_bytes());
            visit.say(&body);
        }
    });
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener);
        let host = "HTTP/1.1\r\nHost: localhost\r\n";
        client.send(format!(
            "GET /v2/jobs/1 {host}\r\nPOST /v2/jobs/2 {host}Content-Length: 5\r\n\r\nhelloPOST /v2/jobs/3 {host}\
             Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /v2/jobs/4 {host}\r\nGET /v2/jobs/5 {host}Connection: close\r\n\r\n"
        ));
        let answers: Vec<String> = (0..5).map(|_| client.answer("GET").text()).collect();
        let expected = [
            "/v2/jobs/1",
            "/v2/jobs/2hello",
            "/v2/jobs/32\r\nab\r\n0\r\n\r\n",
            "/v2/jobs/4",
            "/v2/jobs/5",
        ];
        assert_eq!(answers, expected, "{listener:?}");
        assert_eq!(client.until_end().unwrap(), b"", "{listener:?}");
    }
    drop(stub);
}

#[test]
fn a_service_on_a_unix_socket_is_served_as_one_on_a_port() {
    let folder = Folder::new();
    let path = folder.path().join("speech.sock");
    let stub = Stub::start_unix(&path, |visit| {
        while let Some((_, body)) = visit.request() {
            visit.say(ok("").replace("Length: 0", &format!("Length: {}", body.len())).as_bytes());
            visit.say(&body);
        }
    });
    let speech = json!({"address": format!("unix:{}", path.display())});
    let appliance = Appliance::start(&Settings::both().service("speech", speech));
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener);
        client.send("POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.answer("POST").text(), "hello", "{listener:?}");
    }
    until(SOON, "both requests are recorded", || (stub.recorded().len() == 2).then_some(()));
}
