#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Error, NetworkSettings, Settings, Static};
use crate::log::Log;
use crate::store::{Folder, Scratch};

const NEW: [u8; 4] = [192, 0, 2, 7];

fn at(address: impl Into<Ipv4Addr>) -> Option<IpAddr> {
    Some(IpAddr::V4(address.into()))
}

fn fixed() -> Settings {
    let fixed = Static::parse("192.0.2.7", "24", "192.0.2.1", &[]).unwrap();
    Settings { fixed: Some(fixed), hostname: None }
}

fn dhcp() -> Settings {
    Settings { fixed: None, hostname: None }
}

/// A machine whose command writes down what it was told, and fails at one action.
struct Machine {
    told: Arc<Mutex<Vec<String>>>,
    fails_at: Arc<Mutex<&'static str>>,
    root: PathBuf,
    _scratch: Scratch,
}

impl Machine {
    fn new() -> Machine {
        let scratch = Scratch::new();
        Machine {
            told: Arc::default(),
            fails_at: Arc::default(),
            root: scratch.0.join("state"),
            _scratch: scratch,
        }
    }

    fn start(&self, trial: Duration) -> Arc<NetworkSettings> {
        let (told, fails_at) = (Arc::clone(&self.told), Arc::clone(&self.fails_at));
        let run = move |document: &serde_json::Map<String, Value>| {
            let action = document["action"].as_str().unwrap().to_owned();
            let method = document.get("method").and_then(Value::as_str).unwrap_or_default();
            told.lock().unwrap().push(format!("{action} {method}").trim().to_owned());
            if action == *fails_at.lock().unwrap() {
                Err("told to fail".to_owned())
            } else {
                Ok(())
            }
        };
        // A thread of the daemon before may be about to end.
        let mut opened = Folder::open(&self.root, &[]);
        let end = Instant::now() + Duration::from_secs(10);
        while opened.is_err() && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
            opened = Folder::open(&self.root, &[]);
        }
        let folder = Arc::new(opened.unwrap());
        NetworkSettings::with(folder, Box::new(run), Log::to(|_| {}), trial).unwrap()
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().join(", ")
    }

    #[track_caller]
    fn is_told(&self, wanted: &str) {
        until(|| self.told() == wanted, || self.told());
    }
}

#[track_caller]
fn until(holds: impl Fn() -> bool, told: impl Fn() -> String) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "{}", told());
        thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn is_on_trial(network: &NetworkSettings) {
    let left = || network.report().trial.and_then(|trial| trial.left);
    until(|| left().is_some(), || "it is not on trial".to_owned());
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

#[test]
fn a_change_that_nobody_confirms_is_undone() {
    let machine = Machine::new();
    let network = machine.start(SHORT);
    network.try_later(fixed()).unwrap();
    machine.is_told("try static, undo");
    until(|| network.report().trial.is_none(), String::new);
    let report = network.report();
    assert!(report.kept.is_none() && report.failure.unwrap().contains("nobody confirmed"));
}

#[test]
fn a_change_is_kept_if_it_is_confirmed_at_its_new_address_alone() {
    let machine = Machine::new();
    let network = machine.start(LONG);
    network.try_later(fixed()).unwrap();
    is_on_trial(&network);
    for old in [[192, 0, 2, 8], [127, 0, 0, 1]] {
        assert!(
            matches!(network.confirm(at(old)), Err(Error::Conflict(told)) if told.contains("192.0.2.7"))
        );
    }
    network.confirm(at(NEW)).unwrap();
    assert_eq!(network.report().kept, Some(fixed()));
    assert_eq!(machine.told(), "try static, keep static");
    assert!(
        matches!(network.confirm(at(NEW)), Err(Error::Conflict(told)) if told.contains("no change"))
    );
}

#[test]
fn a_change_to_dhcp_is_confirmed_at_any_address_that_others_reach() {
    let machine = Machine::new();
    let network = machine.start(LONG);
    network.try_later(dhcp()).unwrap();
    is_on_trial(&network);
    assert!(matches!(network.confirm(at([127, 0, 0, 1])), Err(Error::Conflict(_))));
    network.confirm(at([198, 51, 100, 7])).unwrap();
    assert_eq!(network.report().kept, Some(dhcp()));
}

#[test]
fn a_change_is_not_confirmed_before_it_is_in_use() {
    let machine = Machine::new();
    let network = machine.start(LONG);
    network.try_later(fixed()).unwrap();
    assert!(
        matches!(network.confirm(at(NEW)), Err(Error::Conflict(told)) if told.contains("being made"))
    );
}

#[test]
fn while_one_is_on_trial_another_is_refused_but_from_the_machine_itself() {
    let machine = Machine::new();
    let network = machine.start(LONG);
    network.try_later(fixed()).unwrap();
    assert!(
        matches!(network.try_later(dhcp()), Err(Error::Conflict(told)) if told.contains("being made"))
    );
    is_on_trial(&network);
    assert!(
        matches!(network.try_later(dhcp()), Err(Error::Conflict(told)) if told.contains("on trial"))
    );
    network.set(&dhcp()).unwrap();
    assert_eq!(machine.told(), "try static, try dhcp, keep dhcp");
    assert_eq!(network.report().kept, Some(dhcp()));
}

#[test]
fn somebody_at_the_machine_can_confirm_what_others_try() {
    let machine = Machine::new();
    let network = machine.start(LONG);
    network.try_later(fixed()).unwrap();
    is_on_trial(&network);
    network.confirm(None).unwrap();
    assert_eq!(network.report().kept, Some(fixed()));
}

#[test]
fn a_command_that_fails_leaves_the_kept_settings() {
    let machine = Machine::new();
    let network = machine.start(LONG);
    network.set(&dhcp()).unwrap();
    *machine.fails_at.lock().unwrap() = "try";
    assert!(
        matches!(network.set(&fixed()), Err(Error::Failed(told)) if told.contains("told to fail"))
    );
    network.try_later(fixed()).unwrap();
    machine.is_told("try dhcp, keep dhcp, try static, undo, try static, undo");
    *machine.fails_at.lock().unwrap() = "keep";
    until(|| network.report().trial.is_none(), String::new);
    assert!(matches!(network.set(&fixed()), Err(Error::Failed(_))));
    let told = machine.told();
    assert!(told.ends_with("try static, keep static, undo"), "{told}");
    assert_eq!(network.report().kept, Some(dhcp()));
}

#[test]
fn a_change_that_could_not_be_kept_stays_on_trial() {
    let machine = Machine::new();
    *machine.fails_at.lock().unwrap() = "keep";
    let network = machine.start(LONG);
    network.try_later(fixed()).unwrap();
    is_on_trial(&network);
    assert!(matches!(network.confirm(at(NEW)), Err(Error::Failed(_))));
    assert!(network.report().trial.is_some_and(|trial| trial.left.is_some()));
    *machine.fails_at.lock().unwrap() = "";
    network.confirm(at(NEW)).unwrap();
    assert_eq!(network.report().kept, Some(fixed()));
}

#[test]
fn a_daemon_that_starts_anew_undoes_what_was_not_confirmed() {
    let machine = Machine::new();
    {
        let network = machine.start(LONG);
        network.set(&dhcp()).unwrap();
        network.begin(fixed(), true).unwrap();
        network.apply(&fixed()).unwrap();
    }
    let network = machine.start(LONG);
    machine.is_told("try dhcp, keep dhcp, try static, undo");
    until(|| network.report().trial.is_none(), String::new);
    assert_eq!(network.report().kept, Some(dhcp()));
    drop(network);
    machine.start(LONG);
    assert_eq!(machine.told(), "try dhcp, keep dhcp, try static, undo", "once is enough");
}

#[test]
fn a_daemon_that_starts_anew_finishes_what_was_confirmed() {
    let machine = Machine::new();
    {
        *machine.fails_at.lock().unwrap() = "keep";
        let network = machine.start(LONG);
        network.begin(fixed(), true).unwrap();
        network.apply(&fixed()).unwrap();
        // As far as it came before the power was cut.
        assert!(network.keep(&fixed(), network.lock()).is_err());
    }
    *machine.fails_at.lock().unwrap() = "";
    let network = machine.start(LONG);
    until(|| network.report().kept.is_some(), || machine.told());
    assert_eq!(network.report().kept, Some(fixed()));
    assert_eq!(machine.told(), "try static, keep static, keep static");
}
