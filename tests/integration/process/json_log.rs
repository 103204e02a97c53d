//! `"log_format": "json"`: every line is one object, whatever a stranger sends.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::client::Client;
use crate::support::settings::Settings;
use crate::support::stub::Stub;
use crate::support::wait::{SOON, until};

fn start(settings: Settings) -> Appliance {
    Appliance::start(&settings.with("log_format", json!("json")))
}

/// The lines, each of which must be an object that begins with when and how grave.
fn lines(appliance: &Appliance) -> Vec<Value> {
    let log = appliance.log();
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let read = |line: &str| {
        assert!(line.starts_with("{\"time\":\"20"), "{line}");
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value["level"].is_string(), "{line}");
        value
    };
    whole.lines().map(read).collect()
}

#[track_caller]
fn logged(appliance: &Appliance, wanted: &Value) {
    let has = |line: &Value| {
        wanted.as_object().unwrap().iter().all(|(name, value)| line.get(name) == Some(value))
    };
    let known = || lines(appliance).iter().any(has).then_some(());
    until(SOON, &format!("the log has {wanted}:\n{}", appliance.log()), known);
}

#[test]
fn a_request_has_its_fields_and_no_other() {
    let engine = Stub::answering("found");
    let appliance = start(Settings::both().speech(engine.address));
    let url = appliance.https("/v2/jobs?token=secret");
    appliance.curl(&["-d", "four", &url]).ok();
    logged(
        &appliance,
        &json!({"level": "access", "peer": "127.0.0.1", "tls": true, "method": "POST",
            "path": "/v2/jobs", "status": 200, "in": 4, "out": 5, "service": "speech", "remark": ""}),
    );
    appliance.read(&appliance.http("/nothing"));
    logged(
        &appliance,
        &json!({"level": "access", "tls": false, "path": "/nothing", "status": 404, "service": ""}),
    );
    for line in lines(&appliance).iter().filter(|line| line["level"] == "access") {
        let names: Vec<&String> = line.as_object().unwrap().keys().collect();
        let wanted = [
            "time", "level", "peer", "tls", "method", "path", "status", "in", "out", "ms",
            "service", "remark",
        ];
        assert_eq!(names, wanted, "{line}");
        assert!(line["ms"].is_u64(), "{line}");
    }
    assert!(!appliance.log().contains("secret"), "{}", appliance.log());
}

#[test]
fn events_of_every_level_are_objects_and_name_the_client() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let settings = Settings::both().speech(gone).with("access_log", json!(false));
    let mut appliance = start(settings);
    let set = appliance.https("/v1/security/adminpassword");
    let body = r#"{"password": "correct horse"}"#;
    appliance.curl(&["--interface", "127.0.0.2", "-d", body, &set]).ok();
    let words = "admin password set by a client at 127.0.0.2";
    logged(&appliance, &json!({"level": "security", "peer": "127.0.0.2", "message": words}));
    let url = appliance.https("/v1/management/services");
    appliance.read_as("wrong pony", &url);
    let refused =
        json!({"level": "security", "peer": "127.0.0.1", "message": "authentication failed"});
    logged(&appliance, &refused);
    appliance.read_as("correct horse", &url).ok();
    let accepted =
        json!({"level": "security", "peer": "127.0.0.1", "message": "admin authenticated"});
    logged(&appliance, &accepted);
    appliance.program("reset", &[]).ok();
    let by = "security reset by the local administrator: default certificate, no password, no job token, plain HTTP enabled";
    logged(&appliance, &json!({"level": "security", "message": by}));
    let reset = lines(&appliance).into_iter().find(|line| line["message"] == by).unwrap();
    assert_eq!(reset.get("peer"), None);

    let port = appliance.ports.https;
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    client.write_all(b"\0\0\0\0garbage").unwrap();
    let _ = client.read_to_end(&mut Vec::new());
    let failed = format!("TLS handshake failed on port {port}: the client does not speak TLS");
    logged(&appliance, &json!({"level": "info", "peer": "127.0.0.1", "message": failed}));
    assert_eq!(appliance.read(&appliance.https("/v2/jobs")).status, 502);
    let warned = |line: &Value| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "warning" && message.starts_with("/v2/jobs: cannot connect to speech: ")
    };
    until(SOON, "the failure is told", || lines(&appliance).iter().any(warned).then_some(()));
    std::fs::write(appliance.state("admin.htpasswd"), "damage").unwrap();
    appliance.restart();
    let is_error = |line: &Value| line["level"] == "error";
    until(SOON, "the damage is told", || lines(&appliance).iter().any(is_error).then_some(()));
    assert!(!appliance.log().contains("correct horse") && !appliance.log().contains("wrong pony"));
}

#[test]
fn nothing_that_a_client_sends_breaks_a_line() {
    let hostile = Stub::start(|visit| {
        visit.head();
        visit.say(b"HTTP/1.1 200 \"\x1b[2K\xff\\\r\nA\xff\"\\: \x01\r\n\r\n");
    });
    let appliance = start(Settings::both().speech(hostile.address));
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "%22|{}".repeat(300));
    let heads: [&[u8]; 9] = [
        b"GET /\"quoted\" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /back\\slash HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe\x80\xc3 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xc3\xbc\xe2\x80\xa8 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%00%0a%22 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GE'\"T / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G!#$%&'*+-.^_`|~ /x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/jobs HTTP/1.1\r\nHost: x\r\n\r\n",
        long.as_bytes(),
    ];
    for head in heads {
        let mut client = Client::plain(appliance.ports.http);
        client.send(head);
        let answer = client.answer("GET");
        assert!(answer.status >= 400, "{answer:?}");
    }
    let long = |line: &Value| line["path"].as_str().is_some_and(|path| path.len() > 500);
    until(SOON, "the last one is told", || lines(&appliance).iter().any(long).then_some(()));
    let all = lines(&appliance);
    assert!(all.iter().filter(|line| line["level"] == "access").count() >= 3, "{all:?}");
    assert!(appliance.log().lines().all(|line| line.len() < 2_000));
    // Who reads the last lines through the API gets them as ever.
    let logs = appliance.read(&appliance.management("/v1/management/logs/gate")).json();
    assert!(logs["log_lines"].as_str().unwrap().contains(" access peer=127.0.0.1 tls=no method="));
}

#[test]
fn another_format_is_a_mistake() {
    let appliance = Appliance::prepare(&Settings::both().with("log_format", json!("jsn")));
    let told = appliance.program("check", &[]);
    assert!(told.code == 1 && told.err.contains(r#"did you mean "json"?"#), "{told:?}");
}
