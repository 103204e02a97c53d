//! Starts that must fail, each with its exit code and a reason on one line; and one that must not.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;

use crate::support::appliance::{Appliance, program};
use crate::support::command::{Output, run};
use crate::support::settings::Settings;

/// Runs the program to its end; one that starts to serve instead of failing is stopped (exit code 124).
fn started(arguments: &[&str]) -> Output {
    run(Command::new("timeout").arg("20").arg(program()).args(arguments))
}

fn served(appliance: &Appliance) -> Output {
    started(&["serve", "--config", appliance.config().to_str().unwrap()])
}

/// The exit code, and a reason of one line that holds all of `words`.
#[track_caller]
fn fails(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, code, "{output:?}");
    // A daemon that got as far as logging may have said other things before.
    let reason = output.err.trim_end().lines().next_back().unwrap_or_default();
    for word in words {
        assert!(reason.contains(word), "{word:?} is not in the reason: {output:?}");
    }
    if code != 1 {
        assert_eq!(output.err.trim_end().lines().count(), 1, "more than one line: {output:?}");
    }
    assert!(!output.out.contains("ready"), "{output:?}");
    assert!(!output.err.contains("panicked"), "{output:?}");
}

#[test]
fn an_unknown_setting_ends_with_78_and_the_nearest_known_name() {
    let appliance = Appliance::prepare(&Settings::both().with("stat_dir", json!("/tmp")));
    fails(&served(&appliance), 78, &["stat_dir", "state_dir"]);
    let row = json!([{"address": "127.0.0.1:0", "serves": "all", "tsl": true}]);
    let appliance = Appliance::prepare(&Settings::both().with("listen", row));
    fails(&served(&appliance), 78, &["tsl", "tls"]);
}

#[test]
fn a_setting_of_the_wrong_type_or_value_ends_with_78() {
    for (key, value) in [
        ("https_port", json!("443")),
        ("https_port", json!(70_000)),
        ("state_dir", json!(7)),
        ("api", json!([])),
        ("api", json!(["v3"])),
        ("listen", json!([{"address": "nowhere", "serves": "all"}])),
        ("listen", json!([{"address": "127.0.0.1:0", "serves": "everything"}])),
    ] {
        let appliance = Appliance::prepare(&Settings::both().with(key, value));
        fails(&served(&appliance), 78, &[key]);
    }
}

#[test]
fn a_service_that_is_the_appliance_itself_ends_with_78_and_the_listener() {
    let appliance = Appliance::prepare(&Settings::both());
    let ports = appliance.ports;
    let socket = appliance.control_socket();
    let rows = [
        (format!("127.0.0.1:{}", ports.http), format!("127.0.0.1:{}", ports.http)),
        (format!("localhost:{}", ports.https), format!("127.0.0.1:{}", ports.https)),
        (format!("unix:{}", socket.display()), "control.sock".to_owned()),
    ];
    for (address, ours) in rows {
        let settings = json!({"x": {"address": address, "paths": ["/x/"]}});
        let text = std::fs::read_to_string(appliance.config()).unwrap();
        let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
        all["services"] = settings;
        std::fs::write(appliance.config(), all.to_string()).unwrap();
        fails(&served(&appliance), 78, &["services.x.address", &address, &ours]);
        let checked = appliance.program("check", &["--settings"]);
        assert_ne!(checked.code, 0, "{checked:?}");
        assert!(checked.err.contains("services.x.address"), "{checked:?}");
    }
}

#[test]
fn settings_that_are_no_json_end_with_78_and_the_line() {
    let appliance = Appliance::prepare(&Settings::both());
    std::fs::write(appliance.config(), "{\n  \"https_port\": 443,\n}\n").unwrap();
    fails(&served(&appliance), 78, &["config.json", "3"]);
}

#[test]
fn a_port_in_use_ends_with_1_and_the_address() {
    let appliance = Appliance::prepare(&Settings::both());
    let _taken = TcpListener::bind(("127.0.0.1", appliance.ports.management)).unwrap();
    let address = format!("127.0.0.1:{}", appliance.ports.management);
    fails(&served(&appliance), 1, &[&address]);
}

#[test]
fn a_state_folder_that_is_a_file_or_open_to_all_ends_with_1_and_its_path() {
    let appliance = Appliance::prepare(&Settings::both());
    let folder = appliance.folder().join("state");
    std::fs::write(&folder, "not a folder").unwrap();
    fails(&served(&appliance), 1, &[folder.to_str().unwrap()]);

    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    fails(&served(&appliance), 1, &[folder.to_str().unwrap()]);
}

#[test]
fn a_second_daemon_on_the_same_state_ends_with_1_and_does_no_harm_to_the_first() {
    let first = Appliance::start(&Settings::v1());
    let state = first.folder().join("state");
    let second = Appliance::prepare(&Settings::v1().with("state_dir", json!(state)));
    fails(&served(&second), 1, &[state.to_str().unwrap()]);
    first.read(&first.https("/v1/management/ping")).ok();
    assert!(first.control_socket().exists());
}

#[test]
fn a_damaged_state_file_is_a_fault_for_check_but_neither_of_the_settings_nor_for_a_start() {
    let mut appliance = Appliance::start(&Settings::v1());
    let set = appliance.https("/v1/security/adminpassword");
    appliance.post(&set, r#"{"password": "first"}"#).ok();
    appliance.stop();
    std::fs::write(appliance.state("admin.htpasswd"), "damage").unwrap();

    let all = appliance.program("check", &[]);
    assert!(all.code == 1 && all.err.contains("admin.htpasswd"), "{all:?}");
    let settings = appliance.program("check", &["--settings"]);
    assert!(settings.code == 0 && settings.err.is_empty(), "{settings:?}");
    assert_eq!(settings.out, all.out);
    appliance.launch();
}

#[test]
fn bad_settings_are_the_same_fault_with_and_without_a_look_at_the_state() {
    let appliance = Appliance::prepare(&Settings::both().with("stat_dir", json!("/tmp")));
    let all = appliance.program("check", &[]);
    fails(&all, 1, &["stat_dir", "state_dir"]);
    let settings = appliance.program("check", &["--settings"]);
    assert_eq!((settings.code, settings.out, settings.err), (all.code, all.out, all.err));
}

#[test]
fn wrong_usage_ends_with_2_and_the_nearest_known_name() {
    fails(&started(&["serve", "--confg", "x"]), 2, &["--confg", "--config"]);
    fails(&started(&["srve"]), 2, &["srve", "serve"]);
    fails(&started(&["status", "--jsn"]), 2, &["--jsn", "--json"]);
    fails(&started(&["check", "--setings"]), 2, &["--setings", "--settings"]);
    fails(&started(&["serve", "--settings"]), 2, &["--settings"]);
    fails(&started(&["serve", "--config"]), 2, &["--config"]);
}

#[test]
fn help_and_version_are_known_everywhere() {
    for word in ["serve", "check", "reset", "status"] {
        let help = started(&[word, "--help"]);
        assert_eq!(help.code, 0, "{help:?}");
        assert!(help.out.contains(word) && help.out.contains("--config"), "{help:?}");
    }
    let help = started(&["--help"]);
    assert_eq!(help.code, 0, "{help:?}");
    let version = started(&["--version"]);
    assert_eq!(version.code, 0, "{version:?}");
    assert!(version.out.contains(env!("CARGO_PKG_VERSION")), "{version:?}");
}

#[test]
fn each_listener_is_printed_with_the_port_it_really_has_and_then_ready() {
    let any = "127.0.0.1:0";
    let listen = json!([
        {"address": any, "serves": "all", "tls": true},
        {"address": any, "serves": "management", "http_disabled": "close"},
    ]);
    let appliance = Appliance::start(&Settings::v1().with("listen", listen));
    let said = appliance.said();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert_eq!(lines[2], "ready");
    let port = |line: &str, end: &str| -> u16 {
        let middle =
            line.strip_prefix("listening on 127.0.0.1:").and_then(|rest| rest.strip_suffix(end));
        middle.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{line:?} in\n{said}"))
    };
    let https = port(lines[0], " (all, https)");
    let http = port(lines[1], " (management, http)");
    appliance.read(&format!("https://127.0.0.1:{https}/v1/management/ping")).ok();
    appliance.read(&format!("http://127.0.0.1:{http}/v1/management/ping")).ok();
}
