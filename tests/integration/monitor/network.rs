//! The network and the clock, by commands that only write down what they are told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::monitor::listeners::{ALL, Way, ask};
use crate::support::appliance::Appliance;
use crate::support::command::Output;
use crate::support::not_tried::not_tried;
use crate::support::prerequisites::{Namespace, is_root};
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

const ADDRESS: &str = r#"{"address": "192.0.2.7", "netmask": "255.255.255.0", "gateway": "192.0.2.1", "nameservers": ["192.0.2.53"], "hostname": "box"}"#;

/// Writes each document down, and fails while a file `fail` is there.
const SCRIPT: &str = "#!/bin/sh\ncd \"${0%/*}\"\ncat >>told\n! [ -e fail ]\n";

/// An appliance whose commands are that script.
fn appliance() -> Appliance {
    let mut appliance = Appliance::prepare(&Settings::both());
    let script = appliance.folder().join("command");
    fs::write(&script, SCRIPT).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let path = appliance.config();
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    settings["commands"] = json!({"network": [script], "clock": [script]});
    fs::write(&path, settings.to_string()).unwrap();
    appliance.launch();
    appliance
}

fn file(appliance: &Appliance, name: &str) -> PathBuf {
    appliance.folder().join(name)
}

/// The actions that the command was told, in their order.
fn actions(appliance: &Appliance) -> String {
    let told = fs::read_to_string(file(appliance, "told")).unwrap_or_default();
    let action = |line: &str| Some(line.trim().strip_prefix("\"action\": \"")?.to_owned());
    let words: Vec<String> = told.lines().filter_map(action).collect();
    words.iter().map(|word| word.trim_end_matches(['"', ','])).collect::<Vec<_>>().join(" ")
}

fn post(appliance: &Appliance, way: Way, path: &str, body: &str) -> Output {
    ask(appliance, way, &["-X", "POST", "-d", body], path)
}

fn report(appliance: &Appliance) -> Value {
    ask(appliance, Way::ControlSocket, &[], "/v2/management/host/setipaddress").ok().json()
}

#[test]
fn without_a_command_nothing_is_promised_by_any_way() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        for generation in ["v1", "v2"] {
            for (path, body) in [
                ("setdhcp", "{}"),
                ("setipaddress", ADDRESS),
                ("confirmnetwork", "{}"),
                ("time", r#"{"time": "2027-01-31T12:00:00Z"}"#),
            ] {
                let path = format!("/{generation}/management/host/{path}");
                let refused = post(&appliance, way, &path, body);
                assert_eq!(
                    (refused.status, &refused.json()["code"]),
                    (501, &json!(12)),
                    "{refused:?}"
                );
                assert!(
                    refused.json()["error"].as_str().unwrap().contains("\"commands."),
                    "{refused:?}"
                );
            }
        }
    }
    assert!(!appliance.folder().join("state/network.json").exists());
}

#[test]
fn at_the_machine_itself_a_change_is_made_and_kept_at_once() {
    let appliance = appliance();
    let done =
        post(&appliance, Way::ControlSocket, "/v1/management/host/setipaddress", ADDRESS).ok();
    assert!(done.json()["confirmation"].as_str().unwrap().contains("are kept"), "{done:?}");
    assert_eq!(actions(&appliance), "try keep");
    let told = fs::read_to_string(file(&appliance, "told")).unwrap();
    for line in [
        "  \"method\": \"static\",",
        "  \"address\": \"192.0.2.7\",",
        "  \"netmask\": \"255.255.255.0\",",
        "  \"prefix\": 24,",
        "  \"gateway\": \"192.0.2.1\",",
        "  \"nameservers\": [\"192.0.2.53\"],",
        "  \"hostname\": \"box\"",
    ] {
        assert!(told.lines().any(|told| told == line), "no {line:?} in {told}");
    }
    assert_eq!(report(&appliance)["method"], "static");
    // The host name stays what it was set to.
    post(&appliance, Way::ControlSocket, "/v2/management/host/setdhcp", "{}").ok();
    let told = fs::read_to_string(file(&appliance, "told")).unwrap();
    assert!(told.ends_with("\"method\": \"dhcp\",\n  \"hostname\": \"box\"\n}\n"), "{told}");
    assert_eq!(report(&appliance)["method"], "dhcp");
}

#[test]
fn from_the_network_a_change_is_on_trial_and_another_waits_for_its_end() {
    let appliance = appliance();
    let begun = post(&appliance, Way::Https, "/v1/management/host/setipaddress", ADDRESS).ok();
    let told = begun.json()["confirmation"].as_str().unwrap().to_owned();
    assert!(
        told.contains("/v1/management/host/confirmnetwork") && told.contains("192.0.2.7"),
        "{told}"
    );
    until(SOON, "it is in use", || (report(&appliance)["trial"]["in_use"] == true).then_some(()));
    assert_eq!(actions(&appliance), "try");
    assert_eq!(report(&appliance)["method"], "image", "nothing is kept yet");
    let second = post(&appliance, Way::Https, "/v1/management/host/setdhcp", "{}");
    assert_eq!(second.status, 409, "{second:?}");
    // This came in at the old address, or what is it for now.
    let wrong = post(&appliance, Way::Https, "/v2/management/host/confirmnetwork", "{}");
    assert_eq!(wrong.status, 409, "{wrong:?}");
    assert!(wrong.json()["error"].as_str().unwrap().contains("192.0.2.7"), "{wrong:?}");
    post(&appliance, Way::ControlSocket, "/v2/management/host/confirmnetwork", "{}").ok();
    assert_eq!(actions(&appliance), "try keep");
    assert_eq!(report(&appliance)["method"], "static");
}

#[test]
fn it_is_confirmed_at_its_new_address() {
    let Some(mut inside) = Namespace::Net.unshare() else { return };
    // All of it in one network of its own, where the new address is there already.
    let mut appliance = Appliance::prepare(&Settings::both());
    let script = appliance.folder().join("command");
    fs::write(&script, SCRIPT).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let path = appliance.config();
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    settings["commands"] = json!({"network": [script]});
    settings["listen"] = json!([{"address": "0.0.0.0:8080", "serves": "management"}]);
    fs::write(&path, settings.to_string()).unwrap();
    let text =
        "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && ip address add 192.0.2.7/24 dev lo &&
        ip address add 192.0.2.8/24 dev lo && exec \"$@\"";
    inside.args(["sh", "-c", text, "sh"]);
    let real = appliance.command("serve");
    inside.arg(real.get_program()).args(real.get_args());
    appliance.launch_as(&mut inside).unwrap();
    let daemon = crate::process::proc::daemon(&appliance).0;
    let curl = |address: &str, path: &str, body: &str| {
        let url = format!("http://{address}:8080/v1/management/host/{path}");
        let mut curl = Command::new("nsenter");
        curl.args(["--net", &format!("--target={daemon}")]);
        if !is_root() {
            curl.args(["--user", "--preserve-credentials"]);
        }
        curl.args(["curl", "-s", "-X", "POST", "-d", body, &url]);
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    let begun = curl("192.0.2.8", "setipaddress", ADDRESS);
    if begun.is_empty() {
        not_tried("nsenter is refused here");
        return;
    }
    assert!(begun.contains("confirmnetwork"), "{begun}");
    until(SOON, "it is in use", || (report(&appliance)["trial"]["in_use"] == true).then_some(()));
    assert!(curl("192.0.2.8", "confirmnetwork", "{}").contains("its new address"));
    assert!(curl("192.0.2.7", "confirmnetwork", "{}").contains("are kept"));
    assert_eq!(actions(&appliance), "try keep");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_run() {
    let appliance = appliance();
    for (body, words) in [
        ("", "no body"),
        ("{", "not valid JSON"),
        (r#"{"address": "192.0.2.7", "netmask": "24"}"#, "gateway"),
        (r#"{"address": "192.0.2.7", "netmask": 24, "gateway": "192.0.3.1"}"#, "outside"),
        (r#"{"address": "192.0.2.255", "netmask": "24", "gateway": ""}"#, "broadcast"),
        (r#"{"address": "192.0.2.7", "netmask": true, "gateway": ""}"#, "netmask"),
        (r#"{"address": "192.0.2.7", "netmask": "24", "gateway": "", "nameservers": "x"}"#, "list"),
        (
            r#"{"address": "192.0.2.7", "netmask": "24", "gateway": "", "hostname": "a;b"}"#,
            "host name",
        ),
        (r#"{"adress": "192.0.2.7"}"#, "did you mean"),
    ] {
        let refused = post(&appliance, Way::Https, "/v2/management/host/setipaddress", body);
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (400, &json!(3)),
            "{body}: {refused:?}"
        );
        assert!(refused.json()["error"].as_str().unwrap().contains(words), "{body}: {refused:?}");
    }
    let nothing = post(&appliance, Way::Https, "/v2/management/host/confirmnetwork", "{}");
    assert_eq!((nothing.status, &nothing.json()["code"]), (409, &json!(10)), "{nothing:?}");
    assert_eq!(actions(&appliance), "");
}

#[test]
fn a_command_that_fails_is_told_and_the_old_settings_come_back() {
    let appliance = appliance();
    fs::write(file(&appliance, "fail"), "").unwrap();
    let failed = post(&appliance, Way::ControlSocket, "/v1/management/host/setipaddress", ADDRESS);
    assert_eq!((failed.status, &failed.json()["code"]), (500, &json!(13)), "{failed:?}");
    assert!(failed.json()["error"].as_str().unwrap().contains("commands.network"), "{failed:?}");
    assert_eq!(actions(&appliance), "try undo");
    assert_eq!(report(&appliance)["method"], "image");
    assert!(report(&appliance)["error"].as_str().unwrap().contains("could not be undone"));
}

#[test]
fn what_was_on_trial_when_the_daemon_was_killed_is_undone_by_the_next() {
    let mut appliance = appliance();
    post(&appliance, Way::Https, "/v1/management/host/setipaddress", ADDRESS).ok();
    until(SOON, "it is in use", || (report(&appliance)["trial"]["in_use"] == true).then_some(()));
    appliance.signal(Signal::KILL);
    appliance.ended(SOON);
    appliance.launch();
    until(SOON, "it is undone", || (actions(&appliance) == "try undo").then_some(()));
    until(SOON, "it is told", || report(&appliance)["trial"].is_null().then_some(()));
    assert_eq!(report(&appliance)["method"], "image");
}

#[test]
#[ignore = "waits for a minute"]
fn what_nobody_confirms_is_undone_after_a_minute() {
    let appliance = appliance();
    post(&appliance, Way::Https, "/v1/management/host/setipaddress", ADDRESS).ok();
    until(SOON, "it is in use", || (report(&appliance)["trial"]["in_use"] == true).then_some(()));
    let begun = std::time::Instant::now();
    let limit = std::time::Duration::from_secs(90);
    until(limit, "it is undone", || (actions(&appliance) == "try undo").then_some(()));
    assert!(begun.elapsed().as_secs() >= 55, "{:?}", begun.elapsed());
    assert!(report(&appliance)["error"].as_str().unwrap().contains("nobody confirmed"));
}

#[test]
fn the_clock_is_set_and_what_that_means_is_said_before() {
    let appliance = appliance();
    let path = "/v2/management/host/time";
    let now = ask(&appliance, Way::Https, &[], path).ok().json();
    assert!(now["time"].as_str().unwrap().ends_with('Z') && now["consequences"].is_null(), "{now}");
    let url = format!("{path}?set=2098-01-31T12:00:00Z");
    let meant = ask(&appliance, Way::Https, &[], &url).ok().json();
    assert!(meant["consequences"][0].as_str().unwrap().contains("certificate"), "{meant}");
    let body = r#"{"time": "2098-01-31T12:00:00Z"}"#;
    let done = post(&appliance, Way::ControlSocket, path, body).ok().json();
    assert_eq!(done["consequences"], meant["consequences"]);
    let told = fs::read_to_string(file(&appliance, "told")).unwrap();
    assert_eq!(
        told,
        "{\n  \"time\": \"2098-01-31T12:00:00Z\",\n  \"unix_seconds\": 4042008000\n}\n"
    );
    for body in [r#"{"time": "tomorrow"}"#, r#"{"time": "1970-01-01T00:00:00Z"}"#, "{}"] {
        assert_eq!(post(&appliance, Way::ControlSocket, path, body).status, 400, "{body}");
    }
    fs::write(file(&appliance, "fail"), "").unwrap();
    assert_eq!(post(&appliance, Way::ControlSocket, path, body).status, 500);
}
