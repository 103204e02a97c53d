#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{PARTS, describe};
use crate::config::{Api, Config};
use crate::management::api::table;
use crate::monitor::Monitor;

const CHOICES: [(&str, Api); 3] = [
    (r#"{"api": ["v1"]}"#, Api { v1: true, v2: false }),
    (r#"{"api": ["v2"]}"#, Api { v1: false, v2: true }),
    ("{}", Api { v1: true, v2: true }),
];

fn described(settings: &str) -> Value {
    describe(&Config::parse(settings.as_bytes()).unwrap())
}

/// Path, method and operation.
fn operations(whole: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in whole["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method != "parameters" && method != "servers" {
                operations.push((path.clone(), method.clone(), operation.clone()));
            }
        }
    }
    operations
}

/// Calls `visit` with each object in `value`.
fn objects(value: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| objects(value, visit)),
        Value::Object(members) => {
            visit(members);
            members.values().for_each(|value| objects(value, visit));
        }
        _ => {}
    }
}

#[test]
fn every_source_is_json() {
    for text in PARTS {
        assert!(text.parse::<Value>().is_ok_and(|part| part.is_object()), "{text}");
    }
}

#[test]
fn what_is_described_is_what_the_table_has() {
    for (settings, api) in CHOICES {
        let whole = described(settings);
        let mut listed = HashSet::new();
        for (path, method, operation) in operations(&whole) {
            let tag = operation["tags"][0].as_str().unwrap().to_owned();
            if !["Speech", "Monitoring", "Seconds"].contains(&tag.as_str()) {
                listed.insert((path.replace("{name}", "*"), method.to_uppercase()));
            }
        }
        let routes = table::routes(api).into_iter();
        let wanted: HashSet<_> = routes.map(|(path, how)| (path, how.word().to_owned())).collect();
        let differ: Vec<_> = wanted.symmetric_difference(&listed).collect();
        assert!(differ.is_empty(), "{settings}: {differ:?}");
    }
}

#[test]
fn what_is_described_of_monitoring_is_there() {
    let words = [
        ("{plugin}/{item}/{value}", "percpu/cpu_number/0"),
        ("{plugin}", "percpu"),
        ("{item}", "cpu_number"),
        ("{section}", "mem"),
        ("{name}", "time"),
    ];
    for (path, _, operation) in operations(&described("{}")) {
        if operation["tags"][0] == "Monitoring" {
            let mut path = path.strip_prefix("/monitor").unwrap().to_owned();
            for (name, word) in words {
                path = path.replace(name, word);
            }
            assert!(Monitor::default().get(true, &path).is_ok(), "{path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    for (settings, _) in CHOICES {
        let whole = described(settings);
        let mut used = HashSet::new();
        objects(&whole, &mut |members| {
            used.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
        });
        for target in &used {
            let found = whole.pointer(target.strip_prefix('#').unwrap());
            assert!(found.is_some(), "{settings}: {target}");
        }
        for (section, entries) in whole["components"].as_object().unwrap() {
            for name in entries.as_object().unwrap().keys().filter(|_| section != "securitySchemes")
            {
                let target = format!("#/components/{section}/{name}");
                assert!(used.contains(&target), "{settings}: nobody uses {target}");
            }
        }
    }
}

#[test]
fn every_operation_has_its_own_id_its_words_and_its_answers() {
    for (settings, _) in CHOICES {
        let mut ids = HashSet::new();
        for (path, method, operation) in operations(&described(settings)) {
            let place = format!("{settings}: {method} {path}");
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id.clone()), "{place}: {id} is taken");
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 4), "{place}");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{place}");
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{place}");
            for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                assert!(!name.eq_ignore_ascii_case("v"), "{place}");
            }
        }
    }
}

#[test]
fn every_body_has_an_example_and_no_word_is_left_to_fill_in() {
    for (settings, _) in CHOICES {
        let whole = described(settings);
        objects(&whole, &mut |members| {
            for (kind, media) in
                members.get("content").and_then(Value::as_object).into_iter().flatten()
            {
                let has = media.get("example").is_some() || media.get("examples").is_some();
                assert!(has && media.get("schema").is_some(), "{settings}: {kind}: {members:?}");
            }
        });
        let text = whole.to_string();
        for word in ["{v}", "{V}", "{version}", "{run_dir}", "{ports}"] {
            assert!(!text.contains(word), "{settings}: {word}");
        }
        // With the page that shows it, it is to be there at once over a slow line.
        assert!(text.len() < 160_000, "{settings}: {} bytes", text.len());
        assert_eq!(whole["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn ports_are_those_of_the_settings() {
    let settings = r#"{"run_dir": "/run/x", "listen": [
        {"address": "127.0.0.1:8443", "serves": "all", "tls": true},
        {"address": "127.0.0.1:3001", "serves": "monitoring"}]}"#;
    let whole = described(settings);
    let told = whole["info"]["description"].as_str().unwrap();
    assert!(told.contains("8443 (HTTPS) serves everything."), "{told}");
    assert!(told.contains("3001 (HTTP) serves monitoring, without"), "{told}");
    assert!(told.contains("/run/x/control.sock"), "{told}");
    assert_eq!(whole["paths"]["/license"]["servers"][0]["x-unix-socket"], "/run/x/usage.sock");
}

#[test]
fn who_is_asked_for_the_password_is_told_for_what_is_mounted() {
    let asks = |settings: &str, path: &str, method: &str| {
        let whole = described(settings);
        let operation = &whole["paths"][path][method];
        let words = operation["responses"]["401"]["$ref"].as_str().unwrap_or("").to_owned();
        (operation["security"].clone(), words.replace("#/components/responses/", ""))
    };
    let (perhaps, always, never, token) = (
        Value::Null,
        serde_json::json!([{"admin": []}]),
        serde_json::json!([]),
        serde_json::json!([{}, {"token": []}]),
    );
    for (settings, path, method, security, words) in [
        ("{}", "/v1/security/reset", "delete", &perhaps, "Page401"),
        ("{}", "/v2/security/reset", "delete", &always, "Text401"),
        ("{}", "/", "get", &always, "Text401"),
        ("{}", "/monitor/api/3/all", "get", &perhaps, "Page401"),
        ("{}", "/v1.0/user/{user}/jobs", "post", &perhaps, "NoAccess"),
        ("{}", "/v2/jobs", "post", &token, "NoToken"),
        ("{}", "/usage/settle", "post", &never, ""),
        ("{}", "/healthz", "get", &never, ""),
        ("{}", "/monitor/metrics", "get", &perhaps, "Page401"),
        (r#"{"api": ["v2"]}"#, "/monitor/metrics", "get", &always, "Text401"),
        (r#"{"api": ["v1"]}"#, "/", "get", &perhaps, "Text401"),
        (r#"{"api": ["v1"]}"#, "/v2/jobs", "post", &perhaps, "NoAccess"),
        (r#"{"api": ["v2"]}"#, "/monitor/api/3/all", "get", &always, "Text401"),
    ] {
        let wanted = (security.clone(), words.to_owned());
        assert_eq!(asks(settings, path, method), wanted, "{settings} {method} {path}");
    }
}
