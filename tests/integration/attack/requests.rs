//! Every request there is: each row of the API's own table, and what lies beside it.

use crate::attack::rules::{Api, Area};

/// One request, credentials apart.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `None`: nobody serves it.
    pub(crate) area: Option<Area>,
    pub(crate) method: &'static str,
    /// As it stands where everything is served.
    pub(crate) path: String,
    pub(crate) websocket: bool,
    /// Takes effect if it gets through.
    pub(crate) effective: &'static str,
    /// Gets through and is refused by who reads it; for what must not change while others ask.
    pub(crate) harmless: &'static str,
    /// What may be answered to who is let in.
    pub(crate) open: &'static [u16],
    /// Changes something even without a body.
    pub(crate) destroys: bool,
}

/// The text of the API's table: a row that is added there is tried here.
const TABLE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/management/api/table.rs"));

/// The rows of the table: generations, path without them, method.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let row = |line: &'static str| {
        let (mounted, rest) = line.trim().strip_prefix("(In::")?.split_once(',')?;
        let (path, rest) = rest.trim().strip_prefix('"')?.split_once('"')?;
        let (method, _) = rest.split_once("Method::")?.1.split_once(',')?;
        Some((mounted, path, method))
    };
    TABLE.lines().filter_map(row).collect()
}

fn method(word: &str) -> &'static str {
    match word {
        "Get" => "GET",
        "Post" => "POST",
        "Put" => "PUT",
        "Delete" => "DELETE",
        other => panic!("the table has a method unknown here: {other}"),
    }
}

/// What would do harm, by path and method.
fn body_that_changes(path: &str, method: &str) -> &'static str {
    match (path, method) {
        ("/security/adminpassword", "POST") => r#"{"password": "owned"}"#,
        ("/security/insecureports", "POST") => r#"{"enable_insecure_ports": true}"#,
        ("/management/license/network", "POST") => {
            r#"{"http_configuration": {"ip": "192.0.2.66", "port": "3128"}}"#
        }
        ("/security/acme", "POST") => {
            r#"{"directory": "https://127.0.0.1:1/", "names": ["owned.example"]}"#
        }
        ("/management/host/setipaddress", "POST") => {
            r#"{"address": "192.0.2.66", "netmask": "255.255.255.0", "gateway": "192.0.2.1"}"#
        }
        ("/management/host/setdhcp" | "/management/host/confirmnetwork", "POST") => "{}",
        ("/management/host/time", "POST") => r#"{"time": "2027-01-31T12:00:00Z"}"#,
        ("/security/jobtoken", "POST") => r#"{"user_token": "owned"}"#,
        ("/management/license/offlinemode", "POST") => r#"{"offline": true}"#,
        (_, "POST" | "PUT") => r#"{"license": "494953679762904933", "certificate": "00"}"#,
        _ => "",
    }
}

/// What whoever is let in may be told; the part behind the gate has tests of its own.
fn answers(path: &str, method: &str) -> &'static [u16] {
    match (path, method) {
        // 403: a secret came in clear.
        ("/security/sslcertificate" | "/security/acme", "POST") => &[400, 403],
        // Makes an RSA key each time: for strangers alone.
        ("/security/sslcertificate/default", "POST") => &[],
        // Without commands.network and commands.clock.
        (path, "POST") if path.starts_with("/management/host/") => &[501],
        (path, "GET") if path.starts_with("/management/host/set") => &[501],
        (_, "POST" | "PUT") => &[400],
        (_, "DELETE") if path.ends_with("/license") => &[400, 500],
        // Would give the license back, which the jobs of the next cases need: for strangers alone.
        (_, "DELETE") if path.ends_with("/offlineactivation") => &[],
        // What it looks at is none of this test's business.
        ("/healthz", _) => &[200, 503],
        (_, "DELETE") if path.ends_with("/reboot") || path.ends_with("/shutdown") => &[501],
        _ => &[200],
    }
}

fn request(area: Area, method: &'static str, path: &str) -> Request {
    Request {
        area: Some(area),
        method,
        path: path.to_owned(),
        websocket: false,
        effective: "",
        harmless: "",
        open: &[200],
        destroys: false,
    }
}

/// All of them for what is mounted.
pub(crate) fn all(api: Api) -> Vec<Request> {
    let mut requests = management(api);
    for (path, area, is_there) in [
        ("/v1/management/maxworkers", Area::AdminV1, api != Api::V2),
        ("/v2/management/host/gpu/config", Area::AdminV2, api != Api::V1),
    ] {
        let area = Some(area).filter(|_| is_there);
        requests.extend(
            ["GET", "POST", "DELETE"]
                .map(|method| Request { area, ..request(Area::AdminV1, method, path) }),
        );
    }
    let page = ["/", "/docs", "/docs/", "/docs/openapi.json"];
    requests.extend(page.map(|path| request(Area::Page, "HEAD", path)));
    requests.push(Request { websocket: true, ..request(Area::Page, "GET", "/") });
    let monitor = ["all", "cpu", "status", "mem/percent", "config", "pluginslist"];
    requests.extend(
        monitor.map(|path| request(Area::Monitoring, "GET", &format!("/monitor/api/3/{path}"))),
    );
    requests.push(Request {
        open: &[404, 405],
        ..request(Area::Monitoring, "DELETE", "/monitor/api/3/all")
    });

    for path in ["/v1.0/user/1/jobs/", "/v1.0/user/1/jobs/7?a=1", "/v1/user/1/jobs"] {
        for method in ["GET", "POST", "DELETE"] {
            let area = Some(Area::SpeechV1).filter(|_| api != Api::V2);
            requests.push(Request { area, ..request(Area::SpeechV1, method, path) });
        }
    }
    for path in ["/v2/jobs", "/v2/jobs/", "/v2/jobs/7/transcript"] {
        requests.extend(["GET", "POST", "DELETE"].map(|method| request(Area::Jobs, method, path)));
    }
    for path in ["/v2", "/v2/en"] {
        let realtime = request(Area::Realtime, "GET", path);
        requests.push(Request { websocket: true, open: &[101], ..realtime });
    }
    for method in ["GET", "PUT", "DELETE"] {
        requests.push(request(Area::OwnAdmin, method, "/admin-only/thing"));
        requests.push(request(Area::OwnNone, method, "/free/thing"));
    }
    let nowhere = |path: &&str| Request { area: None, ..request(Area::Page, "GET", path) };
    requests.extend(NOWHERE.iter().map(nowhere));
    requests
}

fn management(api: Api) -> Vec<Request> {
    let mut requests = Vec::new();
    for (mounted, path, word) in rows() {
        let generations: &[(&str, Area)] = match mounted {
            "V1" => &[("/v1", Area::AdminV1)],
            "V2" => &[("/v2", Area::AdminV2)],
            "Both" => &[("/v1", Area::AdminV1), ("/v2", Area::AdminV2)],
            "Neither" if path == "/healthz" => &[("", Area::Health)],
            "Neither" if path == "/monitor/metrics" => &[("", Area::Monitoring)],
            "Neither" => &[("", Area::Page)],
            other => panic!("the table has a generation unknown here: {other}"),
        };
        for (prefix, area) in generations {
            let method = method(word);
            let name = if path.contains("resource") { "mem" } else { "gate" };
            let full = format!("{prefix}{}", path.replace('*', name));
            let is_there = match area {
                Area::AdminV1 => api != Api::V2,
                Area::AdminV2 => api != Api::V1,
                _ => true,
            };
            let found = Request {
                area: Some(*area).filter(|_| is_there),
                effective: body_that_changes(path, method),
                harmless: if matches!(method, "POST" | "PUT") { "[]" } else { "" },
                open: answers(path, method),
                destroys: method == "DELETE" && path.starts_with("/security/"),
                ..request(*area, method, &full)
            };
            // Methods that the path does not know, and HEAD, which is a GET.
            requests.push(Request { open: &[405], ..request(*area, "PATCH", &full) });
            requests.last_mut().unwrap().area = found.area;
            if method == "GET" {
                requests.push(Request { method: "HEAD", ..found.clone() });
            }
            requests.push(found);
        }
    }
    requests
}

/// What nobody serves, much of it nearly something.
const NOWHERE: &[&str] = &[
    "/nonsense",
    "/v1",
    "/v1/",
    "/v1/managementx/services",
    "/V1/management/services",
    "/v1//security/adminpassword",
    "//v1/security/adminpassword",
    "/v1/%73ecurity/adminpassword",
    "/v2/%6danagement/health",
    "/v3/security/adminpassword",
    "/v2/jobsx",
    "/v2/en/more",
    "/admin-only",
    "/doc",
    "/index.html",
    "/.git/config",
    "/nonsense/v2/security/reset",
];

#[test]
fn the_table_of_the_api_is_read_whole() {
    let entries = TABLE.lines().filter(|line| line.trim().starts_with("(In::")).count();
    assert!(rows().len() == entries && entries >= 35, "{} of {entries}", rows().len());
}
