//! The Glances REST API v3, under `/monitor` and on the monitoring ports.

use serde_json::Value;

use crate::monitor::listeners::{ALL, ask};
use crate::support::appliance::Appliance;
use crate::support::settings::Settings;

const PLUGINS: [&str; 14] = [
    "quicklook",
    "processcount",
    "system",
    "cpu",
    "load",
    "percpu",
    "fs",
    "core",
    "memswap",
    "mem",
    "now",
    "uptime",
    "diskio",
    "network",
];

fn port_3000(appliance: &Appliance, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", appliance.ports.v1_monitoring)
}

/// The sentence of an error page.
fn sentence(page: &str) -> &str {
    page.split_once("<pre>").and_then(|(_, rest)| rest.split_once("</pre>")).unwrap().0
}

#[test]
fn the_manuals_command_tells_the_memory_over_https_and_port_3000_tells_the_same() {
    let appliance = Appliance::start(&Settings::v1());
    let typed = r#"curl --insecure -L -X GET "https://${APPLIANCE_HOST}/monitor/api/3/mem""#;
    let secure = appliance.page(typed).ok().json();
    let plain = appliance.read(&port_3000(&appliance, "/api/3/mem")).ok().json();
    let members: Vec<&String> = secure.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "total",
            "available",
            "percent",
            "used",
            "free",
            "active",
            "inactive",
            "buffers",
            "cached",
            "shared"
        ]
    );
    assert!(secure["total"].as_u64().unwrap() > 0);
    assert_eq!(plain["total"], secure["total"]);
}

#[test]
fn every_plugin_answers_by_every_way_and_all_holds_each() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        let listed = ask(&appliance, way, &[], "/monitor/api/3/pluginslist").ok().json();
        assert_eq!(listed, Value::from(PLUGINS.to_vec()), "{way:?}");
        let all = ask(&appliance, way, &[], "/monitor/api/3/all").ok().json();
        for plugin in PLUGINS {
            let one = ask(&appliance, way, &[], &format!("/monitor/api/3/{plugin}")).ok().json();
            let kind = |value: &Value| (value.is_string(), value.is_array(), value.is_object());
            assert_eq!(kind(&one), kind(&all[plugin]), "{way:?} {plugin}: {one}");
        }
        let alive = ask(&appliance, way, &[], "/monitor/api/3/status").ok();
        assert_eq!(alive.out, "Active", "{way:?}");
    }
}

#[test]
fn items_values_and_limits_are_told_by_every_way() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        let json =
            |path: &str| ask(&appliance, way, &[], &format!("/monitor/api/3/{path}")).ok().json();
        assert!(json("mem/total")["total"].is_u64());
        // A plain chroot may lack /sys, where that stands.
        let up = std::path::Path::new("/sys/class/net/lo").exists();
        assert_eq!(json("network/interface_name/lo")["lo"][0]["is_up"], up);
        assert_eq!(json("network/interface_name/nosuch").to_string(), r#"{"nosuch":[]}"#);
        assert_eq!(json("percpu/cpu_number/0")["0"][0]["cpu_number"], 0);
        assert_eq!(json("load/limits")["load_critical"], 5.0);
        assert_eq!(json("all/limits")["fs"]["fs_careful"], 50.0);
    }
}

#[test]
fn errors_are_glances_pages_by_every_way() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        for (method, path, status, text) in [
            ("GET", "mem/nosuch", 404, "Cannot get item nosuch in plugin mem"),
            ("GET", "mem/total/x", 404, "Cannot get item (total=x) in plugin mem"),
            ("GET", "mem/", 404, "File does not exist."),
            ("GET", "", 404, "File does not exist."),
            ("GET", "config/x", 400, "Unknown configuration item x"),
            ("GET", "args/x", 400, "Unknown argument item x"),
            ("POST", "mem", 405, "Method not allowed."),
            ("OPTIONS", "nosuch", 405, "Method not allowed."),
        ] {
            let path = format!("/monitor/api/3/{path}");
            let answer = ask(&appliance, way, &["-X", method], &path);
            let found = (answer.status, sentence(&answer.out));
            assert_eq!(found, (status, text), "{way:?} {method} {path}");
        }
        let unknown = ask(&appliance, way, &[], "/monitor/api/3/nosuch");
        let text = "Unknown plugin nosuch (available plugins: [&#039;quicklook&#039;, ";
        assert_eq!(unknown.status, 400, "{way:?}");
        assert!(sentence(&unknown.out).starts_with(text), "{way:?}: {}", unknown.out);
    }
}

#[test]
fn headers_are_those_of_glances() {
    let appliance = Appliance::start(&Settings::v1());
    let head = |arguments: &[&str], path: &str| {
        let url = port_3000(&appliance, path);
        let all = [&["-D", "-", "-o", "body"], arguments, &[url.as_str()]].concat();
        appliance.curl(&all).out.to_ascii_lowercase()
    };
    let good = head(&[], "/api/3/mem");
    for line in [
        "content-type: application/json; charset=utf-8",
        "content-encoding: identity",
        "access-control-allow-origin: *",
        "access-control-allow-methods: get, post, put, options",
    ] {
        assert!(good.contains(&format!("\r\n{line}\r\n")), "{line}: {good}");
    }
    let limits = head(&[], "/api/3/mem/limits");
    assert!(limits.contains("\r\ncontent-type: application/json\r\n"), "{limits}");
    let looked = head(&["--head"], "/api/3/mem");
    assert!(looked.starts_with("http/1.1 200") && looked.contains("content-length: "), "{looked}");
    let wrong = head(&["-X", "POST"], "/api/3/mem");
    assert!(wrong.contains("\r\nallow: get\r\n"), "{wrong}");
    assert!(!wrong.contains("access-control"), "{wrong}");
}

#[test]
fn rates_are_told_for_the_time_between_two_looks() {
    let appliance = Appliance::start(&Settings::v1());
    let url = port_3000(&appliance, "/api/3/cpu");
    let seconds = || appliance.read(&url).ok().json()["time_since_update"].as_f64().unwrap();
    // The first interval began with the boot of this machine, the next with the first look.
    let first = seconds();
    let next =
        crate::support::wait::until(crate::support::wait::SOON, "a second has passed", || {
            Some(seconds()).filter(|seconds| *seconds != first)
        });
    assert!(next >= 1.0 && next < first, "{first} {next}");
}

#[test]
fn monitoring_asks_for_the_password_where_the_rules_say_so() {
    let appliance = Appliance::start(&Settings::v1());
    let (plain, secure) =
        (port_3000(&appliance, "/api/3/mem"), appliance.https("/monitor/api/3/mem"));
    let password = appliance.https("/v1/security/adminpassword");
    appliance.read(&secure).ok();
    appliance.post(&password, r#"{"password": "example"}"#).ok();
    assert_eq!(appliance.read(&secure).status, 401);
    appliance.read_as("example", &secure).ok();
    appliance.read(&plain).ok();
    let ports = appliance.https("/v1/security/insecureports");
    appliance.post_as("example", &ports, r#"{"enable_insecure_ports": false}"#).ok();
    assert_eq!(appliance.read(&plain).code, 52);

    let appliance = Appliance::start(&Settings::both());
    let plain = port_3000(&appliance, "/api/3/mem");
    appliance.read(&plain).ok();
    appliance
        .post(&appliance.https("/v1/security/adminpassword"), r#"{"password": "example"}"#)
        .ok();
    assert_eq!(appliance.read(&plain).status, 401);
    appliance.read_as("example", &plain).ok();
}
