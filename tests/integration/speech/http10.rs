//! HTTP/1.0: connections that last where the client asks for it, and no chunks ever.

use crate::speech::fixture::fixture;
use crate::support::appliance::Appliance;
use crate::support::client::{Client, Listener};
use crate::support::command::run;
use crate::support::stub::{Stub, ok};

/// A service that answers in one form at each path.
fn in_many_forms() -> (Stub, Appliance) {
    fixture(|visit| {
        while let Some((head, _)) = visit.request() {
            match head.split(' ').nth(1).unwrap() {
                "/v2/jobs/chunks" => visit.say(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                ),
                "/v2/jobs/none" => visit.say(b"HTTP/1.1 204 No Content\r\n\r\n"),
                "/v2/jobs/end" => {
                    visit.say(b"HTTP/1.1 200 OK\r\n\r\nhi");
                    return;
                }
                _ => visit.say(ok("hi").as_bytes()),
            };
        }
    })
}

fn listeners(appliance: &Appliance) -> [Listener; 2] {
    [
        Listener { name: "plain", port: appliance.ports.http, tls: false },
        Listener { name: "TLS", port: appliance.ports.https, tls: true },
    ]
}

#[test]
fn a_client_of_http_1_0_that_asks_for_it_keeps_its_connection_where_the_length_is_known() {
    let (_stub, appliance) = in_many_forms();
    for listener in listeners(&appliance) {
        let mut client = Client::at(listener);
        for _ in 0..2 {
            for (method, path, status) in [
                ("GET", "/v2/jobs", 200),
                ("HEAD", "/v2/jobs", 200),
                ("HEAD", "/v2/jobs/chunks", 200),
                ("GET", "/v2/jobs/none", 204),
                ("GET", "/v1/management/ping", 200),
                ("GET", "/v1/management/resource/mem", 200),
                ("GET", "/nowhere", 404),
                ("GET", "/v2/management/ping", 401),
            ] {
                client.send(format!(
                    "{method} {path} HTTP/1.0\r\nConnection: x, Keep-Alive\r\nHost: a\r\n\r\n"
                ));
                let answer = client.answer(method);
                assert_eq!(answer.status, status, "{listener:?} {method} {path}: {answer:?}");
                let connection = answer.field("connection");
                assert_eq!(
                    connection,
                    Some("keep-alive"),
                    "{listener:?} {method} {path}: {answer:?}"
                );
            }
        }
    }
}

#[test]
fn an_answer_to_http_1_0_that_only_its_end_can_end_ends_the_connection() {
    let (_stub, appliance) = in_many_forms();
    for listener in listeners(&appliance) {
        for path in ["/v2/jobs/chunks", "/v2/jobs/end"] {
            let mut client = Client::at(listener);
            client.send(format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
            let head = client.head();
            assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
            assert!(!head.contains("Transfer-Encoding"), "{head}");
            assert_eq!(client.until_end().unwrap(), b"hi", "{listener:?} {path}");
        }
    }
}

#[test]
fn a_client_of_http_1_0_that_does_not_ask_or_comes_through_a_proxy_is_hung_up_on() {
    let (_stub, appliance) = in_many_forms();
    for listener in listeners(&appliance) {
        for path in ["/v2/jobs", "/v1/management/ping", "/nowhere"] {
            for fields in [
                "",
                "Connection: close\r\n",
                "Connection: keep-alive, close\r\n",
                "Proxy-Connection: keep-alive\r\n",
                "Keep-Alive: timeout=5\r\n",
                // RFC 9112 appendix C.2.2: who does not know the field hands it on, and waits for the end.
                "Connection: keep-alive\r\nVia: 1.0 old\r\n",
            ] {
                let mut client = Client::at(listener);
                client.send(format!("GET {path} HTTP/1.0\r\n{fields}\r\n"));
                let answer = client.answer("GET");
                assert_eq!(answer.field("connection"), Some("close"), "{fields:?}: {answer:?}");
                assert_eq!(client.until_end().unwrap(), b"", "{listener:?} {path} {fields:?}");
            }
        }
    }
}

#[test]
fn ab_and_curl_of_debian_speak_http_1_0_over_tls() {
    let (_stub, appliance) = in_many_forms();
    let url = appliance.https("/v2/jobs");
    for version in ["--http1.0", "--http1.1"] {
        assert_eq!(appliance.curl(&["-sS", "-k", version, &url]).ok().out, "hi", "{version}");
    }
    let shown =
        run(std::process::Command::new("ab").args(["-q", "-k", "-n", "50", "-c", "5", &url]));
    let shown = shown.ok().out;
    for line in
        ["Complete requests:      50", "Failed requests:        0", "Keep-Alive requests:    50"]
    {
        assert!(shown.lines().any(|found| found == line), "{shown}");
    }
}
