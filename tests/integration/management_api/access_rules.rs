//! Who is asked for a password where: the table of rules, one row an assertion.

use serde_json::json;

use crate::support::appliance::Appliance;
use crate::support::engine::Engine;
use crate::support::settings::Settings;

const PASSWORD: &str = r#"{"password": "correct horse"}"#;

/// Every URL answers `status` to a stranger.
#[track_caller]
fn strangers_get(appliance: &Appliance, status: u16, urls: &[String]) {
    for url in urls {
        let answer = appliance.read(url);
        assert_eq!(answer.status, status, "{url}: {answer:?}");
    }
}

/// Every URL answers 200 to the administrator.
#[track_caller]
fn admin_gets_in(appliance: &Appliance, password: &str, urls: &[String]) {
    for url in urls {
        let answer = appliance.read_as(password, url);
        assert_eq!(answer.status, 200, "{url}: {answer:?}");
    }
}

fn v1_on_https(appliance: &Appliance) -> Vec<String> {
    [
        "/v1/management/services",
        "/v1/security/insecureports",
        "/monitor/api/3/mem",
        "/v1.0/user/1/jobs/",
    ]
    .map(|path| appliance.https(path))
    .to_vec()
}

fn v1_on_plain(appliance: &Appliance) -> Vec<String> {
    vec![
        appliance.management("/v1/management/services"),
        appliance.http("/v1/management/services"),
        appliance.http("/monitor/api/3/mem"),
        format!("http://127.0.0.1:{}/api/3/mem", appliance.ports.v1_monitoring),
    ]
}

fn v2_management(appliance: &Appliance) -> Vec<String> {
    let paths =
        ["/v2/management/host/about", "/v2/security/sslcertificate", "/v2/security/insecureports"];
    paths.iter().flat_map(|path| [appliance.https(path), appliance.http(path)]).collect()
}

fn v2_jobs(appliance: &Appliance) -> Vec<String> {
    vec![
        appliance.https("/v2/jobs/"),
        appliance.http("/v2/jobs/"),
        format!("http://127.0.0.1:{}/v2/jobs/", appliance.ports.speech),
    ]
}

#[test]
fn v1_alone_asks_for_everything_on_https_once_a_password_is_set_and_never_on_plain_http() {
    let engine = Engine::start();
    let appliance = Appliance::start(&Settings::v1().speech(engine.address));
    strangers_get(&appliance, 200, &v1_on_https(&appliance));
    strangers_get(&appliance, 200, &v1_on_plain(&appliance));

    appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
    strangers_get(&appliance, 401, &v1_on_https(&appliance));
    admin_gets_in(&appliance, "correct horse", &v1_on_https(&appliance));
    strangers_get(&appliance, 200, &v1_on_plain(&appliance));
    let jobs = format!("http://127.0.0.1:{}/v1.0/user/1/jobs/", appliance.ports.speech);
    strangers_get(&appliance, 200, &[jobs]);
}

#[test]
fn v2_alone_always_asks_for_management_and_security_and_never_for_jobs() {
    let engine = Engine::start();
    let appliance = Appliance::start(&Settings::v2().speech(engine.address));
    strangers_get(&appliance, 401, &v2_management(&appliance));
    admin_gets_in(&appliance, "admin", &v2_management(&appliance));
    strangers_get(&appliance, 200, &v2_jobs(&appliance));

    appliance.post_as("admin", &appliance.https("/v2/security/adminpassword"), PASSWORD).ok();
    strangers_get(&appliance, 401, &v2_management(&appliance));
    strangers_get(&appliance, 401, &[appliance.https("/monitor/api/3/mem")]);
    admin_gets_in(&appliance, "correct horse", &v2_management(&appliance));
    assert_eq!(appliance.read_as("admin", &v2_management(&appliance)[0]).status, 401);
    strangers_get(&appliance, 200, &v2_jobs(&appliance));
}

#[test]
fn with_both_mounted_v1_and_monitoring_are_open_until_a_password_is_set_and_v2_never_is() {
    let engine = Engine::start();
    let appliance = Appliance::start(&Settings::both().speech(engine.address));
    strangers_get(&appliance, 200, &v1_on_https(&appliance));
    strangers_get(&appliance, 200, &v1_on_plain(&appliance));
    strangers_get(&appliance, 401, &v2_management(&appliance));
    admin_gets_in(&appliance, "admin", &v2_management(&appliance));
    strangers_get(&appliance, 200, &v2_jobs(&appliance));

    appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
    strangers_get(&appliance, 401, &v1_on_https(&appliance));
    strangers_get(&appliance, 401, &v1_on_plain(&appliance));
    strangers_get(&appliance, 401, &v2_management(&appliance));
    admin_gets_in(&appliance, "correct horse", &v1_on_https(&appliance));
    admin_gets_in(&appliance, "correct horse", &v1_on_plain(&appliance));
    admin_gets_in(&appliance, "correct horse", &v2_management(&appliance));
    strangers_get(&appliance, 200, &v2_jobs(&appliance));
}

/// Paths of an added service, and paths that are not there.
const THERE: &str = "/house/thing";
const NOT_THERE: [&str; 4] = ["/house", "/horse/thing", "/v1/nothing", "/v2/nothing"];

/// An answer without what differs between any two.
fn told(appliance: &Appliance, user: &[&str], url: &str) -> String {
    let out = appliance.curl(&[user, &["-i", url]].concat()).out;
    out.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn nobody_finds_added_services_by_trying_where_v1_asks_for_a_password() {
    for settings in [Settings::v1(), Settings::both()] {
        let engine = Engine::start();
        let house = json!({"address": engine.address.to_string(), "paths": ["/house/"]});
        let appliance = Appliance::start(&settings.service("house", house));
        strangers_get(&appliance, 404, &NOT_THERE.map(|path| appliance.https(path)));

        appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
        let url = appliance.https(THERE);
        let (stranger, guesser) = (told(&appliance, &[], &url), ["-u", "admin:guess"]);
        assert!(stranger.starts_with("HTTP/1.1 401 "), "{stranger}");
        for path in NOT_THERE {
            let url = appliance.https(path);
            assert_eq!(told(&appliance, &[], &url), stranger, "{path}");
            assert_eq!(told(&appliance, &guesser, &url), stranger, "{path}");
            assert_eq!(appliance.read_as("correct horse", &url).status, 404, "{path}");
        }
    }
}

#[test]
fn ports_of_v2s_jobs_and_realtime_ask_nobody_whatever_the_path() {
    for settings in [Settings::v2(), Settings::both()] {
        let appliance = Appliance::start(&settings);
        let set = appliance.https("/v2/security/adminpassword");
        appliance.post_as("admin", &set, PASSWORD).ok();
        let (speech, realtime) = (appliance.ports.speech, appliance.ports.v2_realtime);
        let urls = ["/", "/nothing", "/v2/nothing"].map(|path| {
            [
                format!("http://127.0.0.1:{speech}{path}"),
                format!("https://127.0.0.1:{realtime}{path}"),
            ]
        });
        strangers_get(&appliance, 404, urls.as_flattened());
    }
}

#[test]
fn the_engine_never_sees_the_password_the_appliance_asked_for() {
    let engine = Engine::start();
    let appliance = Appliance::start(&Settings::v1().speech(engine.address));
    appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
    admin_gets_in(&appliance, "correct horse", &[appliance.https("/v1.0/user/1/jobs/")]);
    let seen = engine.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(!seen[0].to_ascii_lowercase().contains("authorization"), "{seen:?}");
}

#[test]
fn any_user_scheme_or_header_but_the_right_one_gets_the_same_401() {
    let appliance = Appliance::start(&Settings::v1());
    appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
    let url = appliance.https("/v1/management/services");
    let stranger = appliance.read(&url);
    assert_eq!(stranger.status, 401);
    for header in [
        "Authorization: Basic cm9vdDpjb3JyZWN0IGhvcnNl", // root:correct horse
        "Authorization: Basic YWRtaW46d3Jvbmc=",         // admin:wrong
        "Authorization: Basic !!!",
        "Authorization: Basic",
        "Authorization: Bearer correct horse",
    ] {
        let refused = appliance.curl(&["-H", header, &url]);
        assert_eq!((refused.status, &refused.out), (401, &stranger.out), "{header}");
    }
}

#[test]
fn deleting_the_password_opens_v1_again() {
    let appliance = Appliance::start(&Settings::v1());
    let password = appliance.https("/v1/security/adminpassword");
    appliance.post(&password, PASSWORD).ok();
    let deleted = appliance.curl(&["-u", "admin:correct horse", "-X", "DELETE", &password]).ok();
    assert_eq!(deleted.json()["success"], true, "{deleted:?}");
    strangers_get(&appliance, 200, &[appliance.https("/v1/management/services")]);
}

#[test]
fn deleting_the_password_switches_authentication_off_when_v2_is_mounted_alone() {
    let mut appliance = Appliance::start(&Settings::v2());
    let password = appliance.https("/v2/security/adminpassword");
    let deleted = appliance.curl(&["-u", "admin:admin", "-X", "DELETE", &password]).ok();
    assert_eq!(deleted.json()["success"], true, "{deleted:?}");
    strangers_get(&appliance, 200, &v2_management(&appliance));
    appliance.restart();
    strangers_get(&appliance, 200, &v2_management(&appliance));
}

#[test]
fn a_password_of_nothing_of_73_bytes_or_with_a_line_end_is_refused() {
    let appliance = Appliance::start(&Settings::v1());
    let url = appliance.https("/v1/security/adminpassword");
    let long = format!(r#"{{"password": "{}"}}"#, "x".repeat(73));
    for body in
        [r#"{"password": ""}"#, &long, r#"{"password": "a\nb"}"#, r#"{"password": 7}"#, "{}", "x"]
    {
        let refused = appliance.post(&url, body);
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert_eq!(refused.json()["success"], false, "{body}: {refused:?}");
        assert!(!refused.message().is_empty(), "{body}: {refused:?}");
    }
    strangers_get(&appliance, 200, &[appliance.https("/v1/management/services")]);
    let longest = format!(r#"{{"password": "{}"}}"#, "x".repeat(72));
    appliance.post(&url, &longest).ok();
    admin_gets_in(&appliance, &"x".repeat(72), &[appliance.https("/v1/management/services")]);
}

#[test]
fn every_security_setting_survives_a_restart() {
    let mut appliance = Appliance::start(&Settings::both());
    appliance.post(&appliance.https("/v1/security/adminpassword"), PASSWORD).ok();
    let ports = appliance.https("/v1/security/insecureports");
    appliance.post_as("correct horse", &ports, r#"{"enable_insecure_ports": false}"#).ok();
    appliance.restart();
    let url = appliance.https("/v1/management/services");
    strangers_get(&appliance, 401, std::slice::from_ref(&url));
    admin_gets_in(&appliance, "correct horse", &[url]);
    assert_eq!(appliance.read(&appliance.management("/v1/management/services")).code, 52);
}
