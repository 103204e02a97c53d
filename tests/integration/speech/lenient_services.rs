//! Requests that a forgiving service takes for another: they are judged as what it might take them for,
//! or refused.

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::Stub;

/// An appliance without a license, in front of services with rules of their own.
fn fixture() -> (Stub, Appliance) {
    let stub = Stub::answering("done");
    let service = |paths: &[&str], auth: &str, licensed: &[&str]| json!({"address": stub.address.to_string(), "paths": paths, "auth": auth, "licensed": licensed});
    let settings = Settings::both()
        .speech(stub.address)
        .with("license", json!({}))
        .service("maker", service(&["/make/"], "none", &["PUT"]))
        .service("teller", service(&["/tell/"], "none", &["GET"]))
        .service("shop", service(&["/shop/"], "none", &[]))
        .service("office", service(&["/shop/office/"], "admin", &[]));
    let appliance = Appliance::start(&settings);
    (stub, appliance)
}

/// The three ways to the speech engine and to other services.
fn listeners(appliance: &Appliance) -> Vec<String> {
    let ports = &appliance.ports;
    vec![
        format!("http://127.0.0.1:{}", ports.http),
        format!("https://127.0.0.1:{}", ports.https),
        format!("http://127.0.0.1:{}", ports.speech),
    ]
}

#[test]
fn a_standard_method_in_other_letters_is_400_and_starts_no_job() {
    let (stub, appliance) = fixture();
    for listener in listeners(&appliance) {
        for path in ["/v2/jobs", "/v1/user/1/jobs", "/v1.0/user/1/jobs/", "/v1/security/reset"] {
            for method in ["post", "Post", "pOST", "delete", "get", "head", "connect", "Trace"] {
                // curl waits for the body of an answer to what it does not know as HEAD.
                let answer =
                    appliance.curl(&["-X", method, "-d", "{}", &format!("{listener}{path}")]);
                assert_eq!(answer.status, 400, "{method} {listener}{path}: {answer:?}");
                assert!(answer.out.contains("capital letters"), "{answer:?}");
            }
        }
    }
    for method in ["put", "Put"] {
        let answer = appliance.curl(&["-X", method, "-d", "{}", &appliance.http("/make/it")]);
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(stub.texts().concat(), "", "nothing has reached the service");
}

#[test]
fn a_method_that_fields_or_the_query_name_is_judged_beside_the_one_in_front() {
    let (stub, appliance) = fixture();
    let url = |path: &str| appliance.http(path);
    for field in [
        "X-HTTP-Method-Override: POST",
        "x-http-method-override: post",
        "X_HTTP_Method_Override: POST",
        "X-HTTP-Method: GET, POST",
        "X-Method-Override:  POST ",
    ] {
        for method in ["GET", "PUT", "OPTIONS"] {
            for path in ["/v2/jobs", "/v1.0/user/1/jobs/"] {
                let answer = appliance.curl(&["-X", method, "-H", field, &url(path)]);
                assert_eq!(answer.status, 403, "{method} {path} {field}: {answer:?}");
                assert!(answer.out.contains("License is invalid"), "{answer:?}");
            }
        }
    }
    for query in ["_method=POST", "a=b&_method=post", "a;%5Fmethod=P%4fST", "_METHOD=post"] {
        let answer = appliance.curl(&[&url(&format!("/v2/jobs?{query}"))]);
        assert_eq!(answer.status, 403, "{query}: {answer:?}");
    }
    let put = ["-d", "{}", "-H", "X-HTTP-Method-Override: PUT"];
    let answer = appliance.curl(&[&put[..], &[&url("/make/it")]].concat());
    assert_eq!(answer.status, 403, "{answer:?}");
    // What is in front counts too, whatever else is named.
    let get = ["-d", "{}", "-H", "X-HTTP-Method-Override: GET"];
    let answer = appliance.curl(&[&get[..], &[&url("/v2/jobs")]].concat());
    assert_eq!(answer.status, 403, "{answer:?}");
    // A handler of GET runs for HEAD.
    assert_eq!(appliance.curl(&["--head", &url("/tell/it")]).status, 403);
    assert_eq!(stub.texts().concat(), "", "nothing has reached the service");

    // Where no license is needed, the field reaches a service that wants it.
    let answer = appliance.curl(&["-d", "", "-H", "X-HTTP-Method-Override: GET", &url("/make/it")]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(stub.texts().concat().contains("X-HTTP-Method-Override: GET\r\n"));
}

#[test]
fn a_method_named_beside_the_real_one_changes_nothing_of_management() {
    let (_, appliance) = fixture();
    for field in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        for (method, named, path, status) in [
            ("GET", "DELETE", "/v1/security/reset", 405),
            ("GET", "POST", "/v1/security/insecureports", 200),
            ("HEAD", "DELETE", "/v1/security/adminpassword", 200),
            ("GET", "DELETE", "/v1/security/reset?_method=DELETE", 405),
        ] {
            let (url, named) = (appliance.http(path), format!("{field}: {named}"));
            // curl would wait for the body of a HEAD that it was not told of so.
            let how = if method == "HEAD" { ["--head", "--silent"] } else { ["-X", method] };
            let answer = appliance.curl(&[&how[..], &["-H", &named, &url]].concat());
            assert!(answer.status == status, "{field} {method} {path}: {answer:?}");
        }
    }
    let still = appliance.read(&appliance.http("/v1/security/insecureports")).ok().json();
    assert_eq!(still["enable_insecure_ports"], true);
    let log = appliance.log();
    assert!(!log.lines().any(|line| line.contains(" security ")), "{log}");
}

#[test]
fn a_path_that_a_forgiving_engine_takes_for_that_of_a_new_job_needs_the_license() {
    let (stub, appliance) = fixture();
    for path in [
        "/v1/user/;x/jobs",
        "/v1/user//jobs",
        "/v1/user/1/JOBS",
        "/v1/user/1/job%C5%BF",
        "/v1/user/1/jobs;x=y",
        "/v1/user/1/jobs.json",
        "/v1/user/1/jobs%20",
        "/v1/user/1/%256aobs",
        "/v1/user/1%252fjobs",
        "/v1/user/1%255cjobs",
        "/v1.0/user/%20/jobs/%20",
        "/v2/jobs//",
        "/v2/jobs/%20",
        "/v2/jobs/;x",
    ] {
        let answer = appliance.post(&appliance.http(path), "{}");
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
    }
    for path in ["/v2/jobs.json", "/v2/jobs;x", "/V2/jobs", "/v2//jobs", "//v2/jobs", "/v2/job%73"]
    {
        let answer = appliance.post(&appliance.http(path), "{}");
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    for path in [
        "/v2/jobs/x/%252e%252e",
        "/v2/jobs/..%3bx/y",
        "/v2/jobs/..%20/y",
        "/v2/jobs/.;/x",
        "/v2/jobs\\x",
    ] {
        let asked = ["--path-as-is", "-d", "{}", &appliance.http(path)];
        assert_eq!(appliance.curl(&asked).status, 400, "{path}");
    }
    // The path is told by the request line alone.
    for field in ["X-Original-URL: /v2/jobs", "X-Rewrite-URL: /v2/jobs", "X_Original_URL: /v2/jobs"]
    {
        let asked = ["-d", "{}", "-H", field, &appliance.http("/v2/jobs/7")];
        assert_eq!(appliance.curl(&asked).status, 200, "{field}");
        let reached = stub.texts().concat();
        assert!(
            reached.starts_with("POST /v2/jobs/7 ") && !reached.contains("/v2/jobs\r\n"),
            "{reached}"
        );
        stub.forget();
    }
    for path in ["/v2/jobs/7", "/v1/user/1/jobs/7", "/v1/user/1/jobsmore", "/v1/user/1/jobs/7/tags"]
    {
        assert_eq!(appliance.post(&appliance.http(path), "{}").status, 200, "{path}");
    }
}

#[test]
fn a_path_that_might_lead_into_a_service_with_other_rules_leads_nowhere() {
    let (stub, appliance) = fixture();
    assert_eq!(appliance.read(&appliance.http("/shop/office/safe")).status, 401);
    for path in [
        "/shop/office",
        "/shop/Office/safe",
        "/shop//office/safe",
        "/shop/%6fffice/safe",
        "/shop/;a/office/safe",
        "/shop/office;a/safe",
    ] {
        let answer = appliance.read(&appliance.http(path));
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    assert_eq!(stub.texts().concat(), "", "nothing has reached the service");
    for path in ["/shop/", "/shop/Shelf//x;y/%61", "/shop/officer/safe", "/make/office"] {
        assert_eq!(appliance.read(&appliance.http(path)).status, 200, "{path}");
    }
    assert_eq!(appliance.read_as("admin", &appliance.http("/shop/office/safe")).status, 200);
}

#[test]
fn trace_and_connect_are_405_where_there_is_something_and_404_where_there_is_nothing() {
    let (stub, appliance) = fixture();
    let all = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
    for (path, status, allow) in [
        ("/v1/management/ping", 405, Some("GET, HEAD")),
        ("/v1/security/insecureports", 405, Some("GET, HEAD, POST")),
        ("/monitor/api/3/mem", 405, Some("GET")),
        ("/v2/jobs", 405, Some(all)),
        ("/v1/user/1/jobs/7", 405, Some(all)),
        ("/shop/x", 405, Some(all)),
        ("/shop/office/x", 401, None),
        ("/v1/management/nothing", 404, None),
        ("/nothing", 404, None),
        ("/v2/en", 404, None),
    ] {
        for method in ["TRACE", "CONNECT"] {
            for tls in [false, true] {
                let mut client = match tls {
                    true => Client::tls(appliance.ports.https),
                    false => Client::plain(appliance.ports.http),
                };
                client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\nX-Secret: 1\r\n\r\n"));
                let answer = client.answer("GET");
                let told = (answer.status, answer.field("allow"));
                assert_eq!(told, (status, allow), "{method} {path}: {}", answer.head);
                assert!(!answer.text().contains("X-Secret"), "{answer:?}");
            }
        }
    }
    // Nothing is connected through this: the methods of that other place are none.
    for target in ["localhost:80", "127.0.0.1:22", "http://127.0.0.1/"] {
        let mut client = Client::plain(appliance.ports.http);
        client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nSSH-2.0-x\r\n"));
        let answer = client.answer("GET");
        assert_eq!((answer.status, answer.field("allow")), (405, Some("")), "{answer:?}");
        assert!(answer.text().contains("not a forward proxy"), "{answer:?}");
        assert!(client.until_end().unwrap().is_empty());
    }
    assert_eq!(stub.texts().concat(), "", "nothing has reached the service");
}

#[test]
fn an_answer_to_head_has_no_body_however_malformed_the_request_is() {
    let (_, appliance) = fixture();
    for rest in [
        "/ HTTP/1.1\r\nHost: a\r\nbad field\r\n\r\n",
        "/ HTTP/1.1\r\n\r\n",
        "/ HTTP/1.1\nHost: a\n\n",
        "/ HTTP/9.1\r\nHost: a\r\n\r\n",
        "/a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        for mut client in [Client::plain(appliance.ports.http), Client::tls(appliance.ports.https)]
        {
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nHEAD {rest}"));
            client.answer("GET");
            let answer = client.answer("HEAD");
            assert!(answer.status >= 400, "{rest:?}: {answer:?}");
            let length = answer.field("content-length").and_then(|length| length.parse().ok());
            assert!(length.is_some_and(|length: usize| length > 20), "{rest:?}: {answer:?}");
            let behind = client.until_end().unwrap();
            assert!(behind.is_empty(), "{rest:?}: {}", String::from_utf8_lossy(&behind));
        }
    }
}

#[test]
fn a_later_minor_version_is_served_as_the_one_we_speak() {
    let (stub, appliance) = fixture();
    let mut client = Client::plain(appliance.ports.http);
    for version in ["1.2", "1.9"] {
        client.send(format!("GET /v1/management/ping HTTP/{version}\r\nHost: a\r\n\r\n"));
        let answer = client.answer("GET");
        assert!(answer.head.starts_with("HTTP/1.1 200 "), "{answer:?}");
        client.send(format!("GET /v2/jobs HTTP/{version}\r\nHost: a\r\n\r\n"));
        assert_eq!(client.answer("GET").status, 200);
        assert!(stub.texts().concat().starts_with("GET /v2/jobs HTTP/1.1\r\n"));
        stub.forget();
    }
}
