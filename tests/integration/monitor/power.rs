//! Reboot, shutdown and restart of the services, by harmless commands.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::monitor::listeners::{ALL, Way, ask};
use crate::support::appliance::Appliance;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

/// An appliance each of whose commands says its words and leaves a file in the appliance's folder.
fn appliance(name: &str) -> (Appliance, PathBuf) {
    let mut appliance = Appliance::prepare(&Settings::both());
    let file = appliance.folder().join("ran");
    let script = appliance.folder().join("command");
    let text = format!("#!/bin/sh\necho \"$@\"\necho \"$@\" >>{}\n", file.display());
    std::fs::write(&script, text).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let path = appliance.config();
    let mut settings: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    settings["commands"] = json!({name: [script, "$HOME", "two  blanks"]});
    std::fs::write(&path, settings.to_string()).unwrap();
    appliance.launch();
    (appliance, file)
}

/// What the command left behind, once it is a whole line: the shell creates the file first and
/// writes to it later.
fn line(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok().filter(|text| text.ends_with('\n'))
}

fn delete(appliance: &Appliance, way: Way, path: &str) -> crate::support::command::Output {
    ask(appliance, way, &["-X", "DELETE"], path)
}

#[test]
fn without_a_command_nothing_is_promised_by_any_way() {
    let appliance = Appliance::start(&Settings::both());
    for way in ALL {
        for path in [
            "/v1/management/reboot",
            "/v2/management/reboot",
            "/v1/management/shutdown",
            "/v2/management/shutdown",
        ] {
            let refused = delete(&appliance, way, path);
            assert_eq!((refused.status, &refused.json()["code"]), (501, &json!(12)), "{refused:?}");
            assert!(refused.json()["error"].as_str().unwrap().contains("commands."), "{refused:?}");
        }
    }
}

#[test]
fn a_shutdown_is_confirmed_and_then_run_without_a_shell() {
    for (way, generation) in ALL.into_iter().zip(["v1", "v2", "v1"]) {
        let (appliance, file) = appliance("shutdown");
        let known = appliance.log().len();
        let ordered =
            delete(&appliance, way, &format!("/{generation}/management/shutdown")).ok().json();
        assert!(ordered["confirmation"].as_str().is_some_and(|text| !text.is_empty()));
        let ran = until(SOON, "the command has run", || line(&file));
        assert_eq!(ran, "$HOME two  blanks\n", "{way:?}");
        appliance.logs(known, "info shutdown: $HOME two  blanks");
        appliance.logs(known, "shutdown requested by");
    }
}

#[test]
fn a_reboot_is_confirmed_at_once_and_runs_once_and_not_at_once() {
    let (appliance, file) = appliance("reboot");
    let known = appliance.log().len();
    for (way, generation) in ALL.into_iter().zip(["v1", "v2", "v1"]) {
        let ordered =
            delete(&appliance, way, &format!("/{generation}/management/reboot")).ok().json();
        assert!(ordered["confirmation"].as_str().is_some_and(|text| !text.is_empty()));
    }
    appliance.logs(known, "scheduled in 60 s");
    let log = appliance.log();
    assert_eq!(log[known..].matches("reboot requested by").count(), 1, "{log}");
    assert!(!file.exists());
}

#[test]
fn a_restart_of_the_services_runs_its_command_and_tells_how_they_are() {
    for way in ALL {
        let (appliance, file) = appliance("restart_services");
        let answer = delete(&appliance, way, "/v1/management/services").ok().json();
        assert_eq!(answer["service_status"][0], json!({"service": "gate", "status": "running"}));
        let ran = until(SOON, "the command has run", || line(&file));
        assert_eq!(ran, "$HOME two  blanks\n", "{way:?}");
    }
}

#[test]
fn without_a_command_a_restart_of_the_services_only_tells_how_they_are() {
    let appliance = Appliance::start(&Settings::v1());
    let answer = delete(&appliance, Way::Https, "/v1/management/services").ok().json();
    assert_eq!(answer["service_status"][1], json!({"service": "management", "status": "running"}));
}

#[test]
fn a_restart_that_fails_is_told() {
    let commands = json!({"restart_services": ["/nowhere/restart"]});
    let appliance = Appliance::start(&Settings::v1().with("commands", commands));
    let answer = delete(&appliance, Way::Https, "/v1/management/services");
    assert_eq!((answer.status, &answer.json()["code"]), (500, &json!(13)), "{answer:?}");
    assert!(answer.json()["error"].as_str().unwrap().contains("/nowhere/restart"), "{answer:?}");
}
