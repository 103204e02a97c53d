//! What becomes of a body that its request does not need, or must not have.

use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;

/// More than the appliance reads of a body that nothing takes.
const LONG: usize = 40_000;

/// More than the largest body of a request to the management API.
const TOO_LONG: usize = (1 << 20) + 50_000;

fn post(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

fn chunked(path: &str, method: &str, length: usize) -> String {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    format!("{head}{length:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(length))
}

#[test]
fn a_private_key_is_never_asked_for_over_plain_http() {
    let appliance = Appliance::start(&Settings::v1());
    for length in [5_000, LONG] {
        let mut client = Client::plain(appliance.ports.http);
        let fields = format!(
            "Content-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n"
        );
        client.send(post("/v1/security/sslcertificate", &fields));
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    }
}

#[test]
fn a_small_body_that_nothing_takes_keeps_the_connection() {
    let appliance = Appliance::start(&Settings::v1());
    let rows = [
        ("/v1/management/nothing", 404),
        ("/v1/management/ping", 405),
        ("/v1/security/sslcertificate", 403),
    ];
    let mut client = Client::plain(appliance.ports.http);
    for (path, status) in rows {
        // The body comes later than the head, and in two pieces.
        client.send(post(path, "Content-Length: 10\r\n"));
        client.send("12345");
        client.send("67890");
        assert_eq!(client.answer("POST").status, status, "{path}");
        client.send(chunked(path, "POST", 10));
        assert_eq!(client.answer("POST").status, status, "{path}");
    }
    client.send("GET /v1/management/ping HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.answer("GET").status, 200);
}

#[test]
fn a_body_that_nothing_takes_is_not_waited_for_when_it_is_long_or_its_client_waits() {
    let appliance = Appliance::start(&Settings::v1());
    let mut client = Client::plain(appliance.ports.http);
    client.send(post("/v1/management/nothing", "Expect: 100-continue\r\nContent-Length: 10\r\n"));
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");

    let mut client = Client::plain(appliance.ports.http);
    client.send(post("/v1/management/nothing", &format!("Content-Length: {LONG}\r\n")));
    client.send(" ".repeat(LONG / 2));
    let answer = client.answer("POST");
    assert_eq!((answer.status, answer.field("connection")), (404, Some("close")));
}

#[test]
fn a_body_of_unknown_length_over_the_limit_is_413_only_where_it_is_read() {
    let appliance = Appliance::start(&Settings::v1());
    let rows = [
        ("POST", "/v1/security/adminpassword", 413),
        ("GET", "/v1/management/ping", 200),
        ("DELETE", "/v1/management/license", 400),
        ("GET", "/monitor/api/3/mem", 200),
        ("POST", "/monitor/api/3/mem", 405),
        ("POST", "/v1/management/nothing", 404),
    ];
    for (method, path, status) in rows {
        let mut client = Client::plain(appliance.ports.http);
        // The appliance may close before it has read all of it.
        let _ = client.try_send(chunked(path, method, TOO_LONG).as_bytes());
        assert_eq!(client.answer(method).status, status, "{method} {path}");
    }
}
