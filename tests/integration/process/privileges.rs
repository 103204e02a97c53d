//! What is left of the daemon's rights, whoever started it.

use serde_json::json;

use crate::process::proc::daemon;
use crate::support::appliance::Appliance;
use crate::support::prerequisites::{is_root, root};
use crate::support::settings::Settings;

const NONE: &str = "0000000000000000";

#[test]
fn every_thread_is_without_capabilities_and_filtered_and_can_gain_nothing() {
    let appliance = Appliance::start(&Settings::both());
    appliance.read(&appliance.https("/v1/management/ping")).ok();
    let process = daemon(&appliance);
    let all = |name: &str, wanted: &str| {
        let values = process.statuses(name);
        assert!(values.len() > 3, "{name}: only {} threads", values.len());
        assert!(values.iter().all(|value| value == wanted), "{name}: {values:?}");
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        all(set, NONE);
    }
    if is_root() {
        all("CapBnd", NONE);
    }
    all("NoNewPrivs", "1");
    all("Seccomp", "2");
    assert!(!appliance.log().contains("no Landlock"), "{}", appliance.log());
}

#[test]
fn it_can_leave_no_core_dump() {
    let appliance = Appliance::start(&Settings::v1());
    assert_eq!(daemon(&appliance).limit("Max core file size"), "0 0 bytes");
}

#[test]
fn it_listens_on_the_ports_of_the_settings_and_no_other() {
    if !root() {
        return;
    }
    let appliance = Appliance::start(&Settings::both());
    let ports = appliance.ports;
    let wanted = [
        ports.http,
        ports.https,
        ports.v1_monitoring,
        ports.management,
        ports.speech,
        ports.v1_realtime,
        ports.v2_monitoring,
        ports.v2_realtime,
    ];
    assert_eq!(daemon(&appliance).ports(), wanted.into());
}

#[test]
fn it_holds_no_file_open_but_the_lock_of_its_state() {
    if !root() {
        return;
    }
    let appliance = Appliance::start(&Settings::both().with("api", json!(["v1", "v2"])));
    appliance.read(&appliance.https("/monitor/api/3/all"));
    let lock = appliance.state("lock");
    let log = appliance.state("license-usage.log");
    let files: Vec<_> = daemon(&appliance)
        .open_of_its_own()
        .into_iter()
        .filter(|(number, to)| *number > 2 && to.starts_with('/'))
        .map(|(_, to)| to)
        .filter(|to| *to != lock.to_str().unwrap() && *to != log.to_str().unwrap())
        .collect();
    assert!(files.is_empty(), "{files:?}");
}
