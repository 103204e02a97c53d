#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::config::{Api, Config, overlapping_path};
use crate::license;
use crate::log::Log;
use crate::management::Context;
use crate::management::api::request::{Method, fake};
use crate::management::api::response::Response;
use crate::security::{AcmeWorker, SecuritySettings};

/// An API with a state folder of its own.
struct World {
    folder: PathBuf,
    context: Context,
}

impl World {
    fn new(settings: &str) -> World {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("applianced-api-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let config = Arc::new(Config::parse(settings.as_bytes()).unwrap());
        let log = Log::to(|_| {});
        let security = Arc::new(SecuritySettings::open(&folder, config.api, log.clone()).unwrap());
        let license =
            license::start(&config, security.folder(), &license::Machine::default(), &log).unwrap();
        World {
            folder,
            context: Context {
                config,
                acme: AcmeWorker::new(Arc::clone(&security), || Ok(None), false, log.clone()),
                security,
                license,
                log,
                monitor: Arc::default(),
                metrics: Arc::default(),
                readiness: Arc::default(),
                helper: Arc::default(),
                network: None,
                running: Arc::default(),
            },
        }
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> (u16, String) {
        self.ask_as(method, target, body.as_bytes(), None)
    }

    fn ask_as(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
        content_type: Option<&str>,
    ) -> (u16, String) {
        let mut request = fake::request(method, target, body);
        request.content_type = content_type.map(str::to_owned);
        let answer = super::dispatch(&self.context, &mut request);
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    fn whole(&self, method: &str, target: &str) -> Response {
        super::dispatch(&self.context, &mut fake::request(method, target, b""))
    }

    fn value(&self, target: &str) -> Value {
        serde_json::from_str(&self.ask("GET", target, "").1).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn about_is_told_in_the_words_of_each_generation() {
    let world = World::new("{}");
    assert_eq!(
        world.ask("GET", "/v1/management/host/about", ""),
        (200, r#"{"version": "5.0.0"}"#.to_owned())
    );
    assert_eq!(
        world.ask("GET", "/v2/management/host/about", "").1,
        r#"{"appliance_version": "5.0.0", "appliance_variant": "", "languages": ["en"]}"#
    );
    for path in ["/v1/management/ping", "/v1/management/license/ping"] {
        assert!(world.ask("GET", path, "").1.starts_with(r#"{"reply": ""#));
    }
}

#[test]
fn no_service_can_own_a_path_of_the_table() {
    let api = Api { v1: true, v2: true };
    for (path, _) in super::routes(api).into_iter().filter(|(path, _)| path.starts_with("/v")) {
        let row = path.trim_end_matches('*').trim_end_matches('/');
        for prefix in [format!("{row}/"), format!("{row}/more/")] {
            assert!(overlapping_path(&prefix).is_some(), "config::own_paths lacks {prefix}");
        }
        let mut parent = row;
        while let Some((above, _)) = parent.rsplit_once('/') {
            assert!(overlapping_path(&format!("{above}/")).is_some(), "{above} contains {row}");
            parent = above;
        }
    }
}

#[test]
fn a_generation_that_is_not_mounted_is_not_there() {
    let (first, second) = (World::new(r#"{"api": ["v1"]}"#), World::new(r#"{"api": ["v2"]}"#));
    for path in ["management/host/about", "security/adminpassword"] {
        assert_eq!(first.ask("GET", &format!("/v1/{path}"), "").0, 200);
        assert_eq!(first.ask("GET", &format!("/v2/{path}"), "").0, 404);
        assert_eq!(second.ask("GET", &format!("/v1/{path}"), "").0, 404);
        assert_eq!(second.ask("GET", &format!("/v2/{path}"), "").0, 200);
    }
}

#[test]
fn unknown_paths_are_404_and_other_methods_405_with_allow() {
    let world = World::new("{}");
    for path in [
        "/page",
        "/v1",
        "/v1/",
        "/v3/management/ping",
        "/v1/management/ping/",
        "/v1management/ping",
        "/v2/management/ping",
        "/monitor",
    ] {
        let (status, body) = world.ask("GET", path, "");
        assert_eq!((status, body.contains(r#""code": 5"#)), (404, true), "{path}: {body}");
    }
    for (method, path, wanted) in [
        ("POST", "/v1/management/ping", "GET, HEAD"),
        ("PATCH", "/v2/security/adminpassword", "GET, HEAD, POST, DELETE"),
        ("GET", "/v1/security/reset", "DELETE"),
    ] {
        let answer = world.whole(method, path);
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.headers.contains(&("Allow", wanted.into())), "{:?}", answer.headers);
    }
    assert_eq!(world.whole("HEAD", "/v1/management/ping").status, 200);
}

#[test]
fn services_are_listed_and_filtered() {
    let world = World::new(
        r#"{"services": {"speech": {"address": "unix:/nowhere/a"}, "realtime": {"address": "unix:/nowhere/b"}}}"#,
    );
    assert_eq!(
        world.ask("GET", "/v1/management/services", "").1,
        r#"{"service_status": [{"service": "gate", "status": "running"}, {"service": "management", "status": "running"}, {"service": "monitoring", "status": "running"}, {"service": "realtime", "status": "exited"}, {"service": "speech", "status": "exited"}]}"#
    );
    for query in [
        "service_name=speech,gate,nobody",
        "service_name=speech&service_name=gate",
        "service_name=gate%2Cspeech",
    ] {
        let listed = world.value(&format!("/v1/management/services?{query}"));
        let names: Vec<&str> = listed["service_status"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["service"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["gate", "speech"], "{query}");
    }
}

#[test]
fn plain_http_is_switched_by_exactly_one_boolean() {
    let world = World::new("{}");
    let path = "/v1/security/insecureports";
    assert_eq!(world.ask("GET", path, "").1, r#"{"enable_insecure_ports": true}"#);
    assert_eq!(
        world.ask("POST", path, "{ \"enable_insecure_ports\": false}"),
        (200, r#"{"success": true, "message": "plain HTTP access disabled"}"#.to_owned())
    );
    assert_eq!(world.ask("GET", path, "").1, r#"{"enable_insecure_ports": false}"#);
    for (body, wanted) in [
        ("", "no body"),
        ("{", "not valid JSON"),
        ("[]", "an array, not an object"),
        ("{}", "no \\\"enable_insecure_ports\\\""),
        (r#"{"enable_insecure_ports": "true"}"#, "a string, not true or false"),
        (r#"{"enable_insecure_ports": true, "x": 1}"#, "an unknown key"),
        (r#"{"enable_insecure_ports": true, "enable_insecure_ports": false}"#, "duplicate key"),
    ] {
        let (status, answer) = world.ask("POST", path, body);
        assert_eq!(status, 400, "{body}");
        assert!(
            answer.starts_with(r#"{"success": false, "message": ""#) && answer.contains(wanted),
            "{body}: {answer}"
        );
    }
    assert_eq!(world.ask("GET", path, "").1, r#"{"enable_insecure_ports": false}"#);
    assert!(
        world.ask("POST", path, r#"{"enable_insecure_ports": true}"#).1.contains("access enabled")
    );
}

#[test]
fn without_a_tls_listener_the_last_door_says_so() {
    let world = World::new(r#"{"listen": [{"address": "127.0.0.1:0", "serves": "all"}]}"#);
    let (_, answer) =
        world.ask("POST", "/v2/security/insecureports", r#"{"enable_insecure_ports": false}"#);
    assert!(answer.contains("only the console"), "{answer}");
}

#[test]
fn a_password_is_set_and_unset_and_its_worth_is_told() {
    let world = World::new(r#"{"api": ["v1"]}"#);
    let path = "/v1/security/adminpassword";
    assert_eq!(world.ask("GET", path, "").1, r#"{"admin_password": "unset"}"#);
    let (status, answer) = world.ask("POST", path, r#"{ "password": "example" }"#);
    assert!(status == 200 && answer.contains("does not ask for the password"), "{answer}");
    assert_eq!(world.ask("GET", path, "").1, r#"{"admin_password": "set"}"#);
    world.ask("POST", "/v1/security/insecureports", r#"{"enable_insecure_ports": false}"#);
    assert_eq!(
        world.ask("POST", path, r#"{ "password": "example" }"#).1,
        r#"{"success": true, "message": "admin password set"}"#
    );
    assert_eq!(
        world.ask("DELETE", path, "").1,
        r#"{"success": true, "message": "admin password unset"}"#
    );
    assert_eq!(world.ask("GET", path, "").1, r#"{"admin_password": "unset"}"#);

    let world = World::new(r#"{"api": ["v2"]}"#);
    let path = "/v2/security/adminpassword";
    let (_, answer) = world.ask("POST", path, r#"{"password": "example"}"#);
    assert!(answer.contains("carries the password in clear"), "{answer}");
    assert!(world.ask("DELETE", path, "").1.contains("authentication is off"));
    assert_eq!(world.ask("GET", path, "").1, r#"{"admin_password": "off"}"#);
}

#[test]
fn a_password_that_is_refused_is_not_repeated() {
    let world = World::new("{}");
    let secret = "hunter2".repeat(20);
    for body in [
        format!(r#"{{"password": "{secret}"}}"#),
        format!(r#"{{"password": ["{secret}"]}}"#),
        format!(r#"{{"password": "{secret}""#),
        format!(r#"{{"password": "{secret}", "password": "{secret}"}}"#),
        format!("\"{secret}\""),
    ] {
        let (status, answer) = world.ask("POST", "/v1/security/adminpassword", &body);
        assert_eq!(status, 400, "{body}");
        assert!(!answer.contains("hunter2"), "{answer}");
    }
}

#[test]
fn reset_answers_the_manuals_word() {
    let world = World::new("{}");
    world.ask("POST", "/v1/security/insecureports", r#"{"enable_insecure_ports": false}"#);
    world.ask("POST", "/v1/security/adminpassword", r#"{"password": "example"}"#);
    for path in ["/v1/security/reset", "/v2/security/reset"] {
        assert_eq!(
            world.ask("DELETE", path, ""),
            (200, r#"{"success": true, "message": "nginx_restart"}"#.to_owned())
        );
    }
    assert_eq!(world.value("/v1/security/insecureports")["enable_insecure_ports"], true);
    assert_eq!(world.value("/v1/security/adminpassword")["admin_password"], "unset");
}

#[test]
fn the_certificate_is_described_in_its_order() {
    let world = World::new("{}");
    let shown = world.value("/v2/security/sslcertificate");
    let members: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "source",
            "subject",
            "issuer",
            "names",
            "not_before",
            "not_after",
            "sha256",
            "chain_length",
            "key_type"
        ]
    );
    assert_eq!(shown["source"], "default");
    assert!(shown["not_after"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_certificate_upload_that_is_no_upload_is_told_how() {
    let world = World::new("{}");
    let path = "/v1/security/sslcertificate";
    let form = "multipart/form-data; boundary=b";
    for (content_type, body, wanted) in [
        (None, "", "no Content-Type"),
        (Some("application/json"), "{}", "not \\\"multipart/form-data\\\""),
        (Some("multipart/form-data"), "--b--", "names no boundary"),
        (Some(form), "--b--", "\\\"certfile\\\" is missing"),
        (Some(form), "--b\r\n", "ends before its last boundary"),
        (Some(form), "", "no body"),
    ] {
        let (status, answer) = world.ask_as("POST", path, body.as_bytes(), content_type);
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains(wanted) && answer.contains("curl -X POST"), "{answer}");
    }
}

#[test]
fn monitoring_answers_as_glances_does() {
    let world = World::new("{}");
    let answer = world.whole("GET", "/monitor/api/3/mem");
    assert_eq!((answer.status, answer.content_type), (200, "application/json; charset=utf-8"));
    assert!(answer.headers.contains(&("Access-Control-Allow-Origin", "*".into())));
    assert!(String::from_utf8(answer.body).unwrap().starts_with(r#"{"total": "#));
    let answer = world.whole("POST", "/monitor/api/3/mem");
    assert_eq!((answer.status, answer.content_type), (405, "text/html; charset=UTF-8"));
    assert_eq!(answer.headers, [("Allow", "GET".into())]);
    assert_eq!(world.whole("GET", "/monitor/api/3/no%3Csuch").status, 400);
}

#[test]
fn what_may_take_a_while_is_left_alone_where_nobody_may_wait() {
    let world = World::new("{}");
    let may_block = |method, target| {
        super::find(world.context.config.api, Method::parse(method), target)
            .map(|endpoint| endpoint.needs != super::Needs::Nothing)
            .map_err(|response| response.status)
    };
    for target in ["/v1/management/services", "/v1/management/license", "/monitor/api/3/mem"] {
        assert_eq!(may_block("GET", target), Ok(true), "{target}");
    }
    assert_eq!(may_block("DELETE", "/v1/security/reset"), Ok(true));
    assert_eq!(may_block("HEAD", "/v1/management/ping"), Ok(false));
    assert_eq!(may_block("PUT", "/v1/management/ping"), Err(405));
    assert_eq!(may_block("GET", "/nowhere"), Err(404));
}
