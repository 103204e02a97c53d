#![allow(clippy::unwrap_used)]

use serde_json::json;

use crate::config::{Auth, CommandKind, Config, HttpDisabled, Serves, ServiceAddress};

fn errors(text: &str) -> Vec<String> {
    Config::parse(text.as_bytes()).unwrap_err().to_vec()
}

#[track_caller]
fn one_error(text: &str, wanted: &str) {
    let errors = errors(text);
    assert_eq!(errors, [wanted]);
}

#[track_caller]
fn error_contains(text: &str, wanted: &str) {
    let errors = errors(text);
    assert!(errors.len() == 1 && errors[0].contains(wanted), "{errors:?}");
}

const EVERYTHING: &str = r#"{
  "state_dir": "/s", "run_dir": "/r", "api": ["v2"],
  "listen": [
    {"address": "0.0.0.0:80", "serves": "all", "http_disabled": "redirect"},
    {"address": "[::1]:443", "serves": "speech", "tls": true},
    {"address": "127.0.0.1:0", "serves": "monitoring"},
    {"address": "127.0.0.1:0", "serves": "management", "tls": false, "http_disabled": "close"}
  ],
  "https_port": 8443,
  "hsts_max_age": 63072000,
  "services": {
    "x": {"address": "unix:/run/x.sock", "paths": ["/x/"], "auth": "none", "licensed": ["POST"], "websocket": true, "timeout": 5},
    "deeper": {"address": "[::1]:9", "paths": ["/x/deeper/", "/y/"]},
    "speech": {"address": "engine.local:7082"}
  },
  "license": {"authority_url": "http://a.example/", "trust_file": "/t", "product": "7", "customer_id": 1, "transcription_secs_allocated": 2},
  "about": {"version": "1", "variant": "v", "languages": ["en", "de"]},
  "commands": {"reboot": ["/sbin/reboot", "-f"], "shutdown": [], "restart_services": ["/bin/true"]},
  "access_log": false,
  "user": "1000:1000"
}"#;

#[test]
fn nothing_given_is_the_defaults() {
    assert_eq!(Config::parse(b"{}").unwrap(), Config::default());
}

#[test]
fn everything_given_is_understood() {
    let config = Config::parse(EVERYTHING.as_bytes()).unwrap();
    assert!(!config.api.v1 && config.api.v2);
    assert_eq!(config.listen[0].http_disabled, HttpDisabled::Redirect);
    assert!(config.listen[1].tls && config.listen[1].serves == Serves::Speech);
    let names: Vec<&str> = config.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["deeper", "realtime", "speech", "x"]);
    assert_eq!(config.services[0].auth, Auth::Admin);
    assert_eq!(config.services[0].address, ServiceAddress::Tcp { host: "::1".to_owned(), port: 9 });
    assert_eq!(config.services[3].auth, Auth::None);
    assert!(config.services[3].websocket && config.services[3].timeout == 5);
    assert_eq!(config.services[2].timeout, 300);
    assert_eq!(config.hsts_max_age, 63_072_000);
    assert!(!config.access_log);
    assert_eq!(config.user.as_deref(), Some("1000:1000"));
    assert_eq!(config.commands.argv(CommandKind::Reboot), ["/sbin/reboot", "-f"]);
}

#[test]
fn what_is_printed_is_the_same_settings_again() {
    for config in [Config::default(), Config::parse(EVERYTHING.as_bytes()).unwrap()] {
        let printed = serde_json::to_vec_pretty(&config.to_json()).unwrap();
        assert_eq!(Config::parse(&printed).unwrap(), config);
    }
}

#[test]
fn a_misspelt_choice_names_the_nearest() {
    one_error(
        r#"{"listen": [
            {"address": "[::]:1", "serves": "all"}, {"address": "[::]:2", "serves": "all"},
            {"address": "[::]:3", "serves": "manegement"}]}"#,
        "listen[2].serves: expected one of \"all\", \"management\", \"monitoring\", \"speech\", \
         \"realtime\"; found \"manegement\", did you mean \"management\"?",
    );
}

#[test]
fn unknown_keys_name_the_nearest() {
    one_error(r#"{"stat_dir": "/x"}"#, "stat_dir: unknown setting, did you mean \"state_dir\"?");
    error_contains(
        r#"{"services": {"speech": {"paths": ["/x/"]}}}"#,
        "unknown setting; known here: \"address\"",
    );
    one_error(
        r#"{"license": {"costumer_id": 1}}"#,
        "license.costumer_id: unknown setting, did you mean \"customer_id\"?",
    );
}

#[test]
fn every_fault_is_named_in_one_run() {
    let errors = errors(r#"{"api": ["v3"], "https_port": "443", "user": 5, "run_dir": "run"}"#);
    assert_eq!(
        errors,
        [
            "run_dir: expected an absolute path of up to 94 bytes, for sockets are made there; found \"run\"",
            "api[0]: expected one of \"v1\", \"v2\"; found \"v3\", did you mean \"v1\"?",
            "https_port: expected a port, a number from 1 to 65535; found \"443\"",
            "user: expected a user's name or \"uid:gid\"; found 5",
        ]
    );
}

#[test]
fn a_wrong_kind_says_what_was_found() {
    one_error("[]", "the settings: expected an object; found an array");
    one_error(r#"{"listen": {}}"#, "listen: expected an array; found an object");
    one_error(r#"{"state_dir": null}"#, "state_dir: expected an absolute path; found null");
    one_error(
        r#"{"https_port": 0}"#,
        "https_port: expected a port, a number from 1 to 65535; found 0",
    );
    one_error(
        r#"{"https_port": 443.5}"#,
        "https_port: expected a port, a number from 1 to 65535; found 443.5",
    );
    for wrong in ["-1", "1.5", "63072001"] {
        one_error(
            &format!(r#"{{"hsts_max_age": {wrong}}}"#),
            &format!("hsts_max_age: expected seconds, a number from 0 to 63072000; found {wrong}"),
        );
    }
    error_contains(
        r#"{"about": {"languages": ["en", 1]}}"#,
        "about.languages[1]: expected a string; found 1",
    );
}

#[test]
fn broken_json_has_a_place() {
    error_contains("{\n\"api\": [}", "line 2 column 9");
    error_contains(r#"{"api": ["v1"], "api": ["v2"]}"#, "duplicate key at line 1 column");
}

#[test]
fn at_least_one_generation_and_one_listener() {
    error_contains(r#"{"api": []}"#, "api: expected at least one of");
    error_contains(r#"{"listen": []}"#, "listen: expected 1 to 64 listeners");
}

#[test]
fn an_address_is_taken_once_but_port_0_as_often_as_wanted() {
    error_contains(
        r#"{"listen": [{"address": "[::]:80", "serves": "all"}, {"address": "[::]:80", "serves": "all"}]}"#,
        "listen[1]: an earlier listener has the address [::]:80 already",
    );
    error_contains(
        r#"{"listen": [{"address": "localhost:80", "serves": "all"}]}"#,
        "listen[0].address: expected an IP",
    );
    error_contains(r#"{"listen": [{"serves": "all"}]}"#, "listen[0]: \"address\" is missing");
}

#[test]
fn a_tls_listener_has_nothing_to_do_while_plain_http_is_off() {
    error_contains(
        r#"{"listen": [{"address": "[::]:443", "serves": "all", "tls": true, "http_disabled": "close"}]}"#,
        "listen[0].http_disabled: has no meaning",
    );
}

#[test]
fn a_prefix_of_ours_is_not_for_others() {
    for path in
        ["/v1/management/", "/v2/security/x/", "/v2/", "/v2/jobs/", "/docs/", "/monitor/", "/v1/"]
    {
        let text = json!({"services": {"x": {"address": "h:1", "paths": [path]}}}).to_string();
        error_contains(&text, "overlaps with the appliance's own");
    }
    for path in ["/", "x/", "/x", "/a//b/", "/a/../b/", "/a?/", "/%61/", ""] {
        let text = json!({"services": {"x": {"address": "h:1", "paths": [path]}}}).to_string();
        error_contains(&text, "services.x.paths[0]: expected a path prefix");
    }
}

#[test]
fn a_service_owns_what_management_leaves_free_and_asks_for_the_password_there() {
    for path in
        ["/v1/management/maxworkers/", "/v2/management/host/gpu/", "/v2/management/nodeinfo/"]
    {
        let text = |auth: &str| {
            json!({"services": {"x": {"address": "h:1", "paths": ["/y/", path], "auth": auth}}})
                .to_string()
        };
        let config = Config::parse(text("admin").as_bytes()).unwrap();
        assert_eq!(config.services[2].paths, ["/y/", path]);
        one_error(
            &text("none"),
            &format!("services.x.auth: {path:?} is management, so it takes \"admin\" alone"),
        );
    }
    for path in [
        "/v2/management/",
        "/v2/management/host/",
        "/v1/management/license/",
        "/v1/management/license/more/",
        "/v1/management/logs/zip/",
        "/v2/management/logs/zip/",
        "/v1/management/resource/gpu/",
    ] {
        let text = json!({"services": {"x": {"address": "h:1", "paths": [path]}}}).to_string();
        error_contains(&text, "overlaps with the appliance's own \"/v");
    }
}

#[test]
fn a_prefix_has_one_owner() {
    error_contains(
        r#"{"services": {"a": {"address": "h:1", "paths": ["/x/"]}, "b": {"address": "h:2", "paths": ["/x/"]}}}"#,
        "services.b.paths[0]: \"/x/\" belongs to the service \"a\" already",
    );
    error_contains(
        r#"{"services": {"a": {"address": "h:1", "paths": ["/x/", "/x/"]}}}"#,
        "\"/x/\" stands twice",
    );
}

#[test]
fn a_service_has_an_address_that_can_be_one() {
    for address in
        ["h", "h:0", "h:65536", ":80", "::1:80", "[::1]", "[h]:80", "unix:x", "unix:", "a b:1"]
    {
        let text = json!({"services": {"speech": {"address": address}}}).to_string();
        error_contains(&text, "services.speech.address: expected \"host:port\"");
    }
    error_contains(
        r#"{"services": {"gate": {"address": "h:1", "paths": ["/x/"]}}}"#,
        "a part of the appliance",
    );
    error_contains(
        r#"{"services": {"A b": {"address": "h:1", "paths": ["/x/"]}}}"#,
        "a service's name",
    );
    error_contains(
        r#"{"services": {"x": {"address": "h:1"}}}"#,
        "services.x: \"paths\" is missing",
    );
    error_contains(
        r#"{"services": {"x": {"address": "h:1", "paths": []}}}"#,
        "expected at least one path",
    );
}

#[test]
fn a_service_is_not_the_appliance_itself() {
    let settings = |listener: &str, address: &str| {
        json!({"run_dir": "/run/x", "listen": [{"address": listener, "serves": "all"}],
            "services": {"x": {"address": address, "paths": ["/x/"]}}})
        .to_string()
    };
    for (listener, address) in [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("192.0.2.7:80", "192.0.2.7:80"),
        ("192.0.2.7:80", "[::ffff:192.0.2.7]:80"),
        ("[::1]:80", "localhost:80"),
        ("127.0.0.1:80", "engine.localhost:80"),
        ("[::]:80", "127.0.0.1:80"),
        ("[::]:80", "127.9.9.9:80"),
        ("[::]:80", "[::1]:80"),
        ("[::]:80", "0.0.0.0:80"),
        ("[::]:80", "[::]:80"),
        ("[::]:80", "LOCALHOST.:80"),
        ("0.0.0.0:80", "127.0.0.1:80"),
        ("0.0.0.0:80", "localhost:80"),
        ("[::]:1", "unix:/run/x/control.sock"),
        ("[::]:1", "unix:/run//x/./usage.sock"),
    ] {
        let told = format!("services.x.address: {address}");
        let errors = errors(&settings(listener, address));
        let own = |error: &String| error.contains("is the appliance's own (");
        assert!(errors.len() == 1 && own(&errors[0]), "{listener} {told}: {errors:?}");
    }
    for (listener, address) in [
        ("127.0.0.1:80", "127.0.0.1:81"),
        ("127.0.0.1:80", "127.0.0.2:80"),
        ("0.0.0.0:80", "[::1]:80"),
        ("[::1]:80", "127.0.0.1:80"),
        ("[::]:80", "192.0.2.7:80"),
        ("[::]:80", "engine.example:80"),
        ("[::]:0", "127.0.0.1:80"),
        ("[::]:1", "unix:/run/x/engine.sock"),
        ("[::]:1", "unix:/run/control.sock"),
    ] {
        let text = settings(listener, address);
        assert!(Config::parse(text.as_bytes()).is_ok(), "{listener} {address}");
    }
    // The two that are there anyway, too.
    error_contains(
        r#"{"listen": [{"address": "[::]:7082", "serves": "all"}]}"#,
        "services.speech.address: 127.0.0.1:7082 is the appliance's own (\"listen\" has [::]:7082)",
    );
}

#[test]
fn a_command_is_named_whole() {
    error_contains(
        r#"{"commands": {"reboot": ["reboot"]}}"#,
        "commands.reboot[0]: expected the absolute path",
    );
}

#[test]
fn the_authority_answers_on_port_80() {
    error_contains(
        r#"{"license": {"authority_url": "ftp://x/"}}"#,
        "license.authority_url: expected a URL",
    );
}

#[test]
fn long_wrong_values_are_cut() {
    let text = json!({"user": "x".repeat(1000)}).to_string();
    assert!(errors(&text)[0].len() < 150);
}
