//! How a client may call the appliance and its paths, and what of it reaches a service.

use crate::speech::fixture::answering;
use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, field};

/// What the service got, or the status of the refusal.
fn seen(stub: &Stub, appliance: &Appliance, request: &str) -> Result<String, u16> {
    stub.forget();
    let mut client = Client::plain(appliance.ports.http);
    client.send(request);
    match client.answer("GET").status {
        200 => Ok(stub.texts().concat()),
        status => Err(status),
    }
}

#[test]
fn a_port_that_is_the_schemes_own_may_be_written_or_left_out() {
    let (stub, appliance) = answering("done");
    for (target, host) in [
        ("http://box", "box"),
        ("http://box", "box:80"),
        ("http://box", "box:"),
        ("http://box:", "box"),
        ("http://box:80", "box"),
        ("http://box:80", "box:"),
        ("HTTP://BOX:0080", "box:80"),
        ("http://[::1]:80", "[::1]"),
        ("https://box", "box:443"),
        ("https://box:443", "box"),
        ("https://box:", "box:443"),
        ("https://box:80", "box:80"),
        ("http://box:8080", "box:8080"),
    ] {
        let request = format!("GET {target}/v2/jobs HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = seen(&stub, &appliance, &request);
        let head = head.unwrap_or_else(|status| panic!("{target}, {host}: {status}"));
        assert!(head.starts_with("GET /v2/jobs HTTP/1.1\r\n"), "{head}");
        assert_eq!(field(&head, "host"), Some(host), "{target}");
        assert_eq!(field(&head, "x-forwarded-host"), Some(host), "{target}");
    }
    for (target, host) in [
        ("http://box:443", "box"),
        ("https://box:80", "box"),
        ("http://box", "box:443"),
        ("http://box", "box:8080"),
        ("http://box:8080", "box"),
        ("http://box.", "box"),
        ("http://other", "box"),
        ("http://amy@box", "box"),
        ("http://box:80:80", "box"),
        ("http://box:x", "box"),
        ("http://:80", "box"),
    ] {
        let request = format!("GET {target}/v2/jobs HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(seen(&stub, &appliance, &request), Err(400), "{target}, {host}");
    }
}

#[test]
fn a_whole_url_needs_no_path_and_in_http_1_0_no_host() {
    let (stub, appliance) = answering("done");
    let mut client = Client::plain(appliance.ports.http);
    for target in ["http://box", "http://box?x=/v2/jobs", "http://box:80?"] {
        client.send(format!(
            "GET {target} HTTP/1.1\r\nHost: box\r\nAuthorization: Basic YWRtaW46YWRtaW4=\r\n\r\n"
        ));
        let answer = client.answer("GET");
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(answer.text().contains("<html"), "{target}: the page at /");
    }
    let request = "GET http://box:8080/v2/jobs?a=b HTTP/1.0\r\n\r\n";
    let head = seen(&stub, &appliance, request).unwrap();
    assert!(head.starts_with("GET /v2/jobs?a=b HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(&head, "host"), Some("box:8080"));
    assert_eq!(field(&head, "x-forwarded-host"), Some("box:8080"));
    for request in
        ["GET http:///v2/jobs HTTP/1.0\r\n\r\n", "GET http://a@b/v2/jobs HTTP/1.0\r\n\r\n"]
    {
        assert_eq!(seen(&stub, &appliance, request), Err(400), "{request}");
    }
}

#[test]
fn what_browsers_leave_bare_reaches_the_service_percent_encoded() {
    let (stub, appliance) = answering("done");
    for (target, wanted) in [
        ("/v2/jobs/report[1].pdf", "/v2/jobs/report%5B1%5D.pdf"),
        ("/v2/jobs/a|b^c{d}", "/v2/jobs/a%7Cb%5Ec%7Bd%7D"),
        ("/v2/jobs/grün/語", "/v2/jobs/gr%C3%BCn/%E8%AA%9E"),
        ("/v2/jobs?q=[a]|{b}^`c`\\d", "/v2/jobs?q=%5Ba%5D%7C%7Bb%7D%5E%60c%60%5Cd"),
        ("/v2/jobs?q=\"<é>\"'", "/v2/jobs?q=%22%3C%C3%A9%3E%22'"),
        ("/v2/jobs/%5b%C3%A9?100%&x=%zz/../", "/v2/jobs/%5b%C3%A9?100%&x=%zz/../"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: box\r\n\r\n");
        let head = seen(&stub, &appliance, &request);
        let head = head.unwrap_or_else(|status| panic!("{target}: {status}"));
        assert!(head.starts_with(&format!("GET {wanted} HTTP/1.1\r\n")), "{target}: {head}");
    }
    for target in
        ["/v2/jobs/\\", "/v2/jobs/\"", "/v2/jobs/<", "/v2/jobs/>", "/v2/jobs/`", "/v2/jobs#x"]
    {
        let request = format!("GET {target} HTTP/1.1\r\nHost: box\r\n\r\n");
        assert_eq!(seen(&stub, &appliance, &request), Err(400), "{target}");
    }
    // Curl sends what is typed.
    stub.forget();
    appliance.curl(&["--globoff", &appliance.https("/v2/jobs/[1]?ü={1}")]).ok();
    let head = stub.texts().concat();
    assert!(head.starts_with("GET /v2/jobs/%5B1%5D?%C3%BC=%7B1%7D HTTP/1.1\r\n"), "{head}");
    appliance.logs(0, "path=/v2/jobs/%5B1%5D ");
}

#[test]
fn a_line_that_is_too_long_once_it_is_encoded_is_414() {
    let (stub, appliance) = answering("done");
    let request =
        |count: usize| format!("GET /v2/jobs/{} HTTP/1.1\r\nHost: box\r\n\r\n", "é".repeat(count));
    let head = seen(&stub, &appliance, &request(1_300)).unwrap();
    assert!(head.contains(&"%C3%A9".repeat(1_300)));
    assert_eq!(seen(&stub, &appliance, &request(1_400)), Err(414));
}

#[test]
fn a_prefix_of_a_service_may_hold_such_characters() {
    let stub = Stub::answering("done");
    let service = serde_json::json!({"address": stub.address.to_string(), "paths": ["/x[1]/"], "auth": "none"});
    let appliance = Appliance::start(&Settings::both().service("x", service));
    for path in ["/x[1]/a", "/x%5B1%5D/a"] {
        let answer = appliance.curl(&["--globoff", &appliance.http(path)]);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}
