//! The process that runs the commands of the settings: there only for them, with nothing in its hands.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::process::proc::{Process, daemon};
use crate::process::user::NOBODY;
use crate::support::appliance::Appliance;
use crate::support::prerequisites::is_root;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

fn started() -> (Appliance, Process) {
    let commands = json!({"restart_services": ["/bin/sh", "-c", "echo I am $(id -u)"]});
    let mut settings = Settings::v1().with("commands", commands);
    if is_root() {
        settings = settings.with("user", json!(format!("{NOBODY}:{NOBODY}")));
    }
    let mut appliance = Appliance::prepare(&settings);
    fs::set_permissions(appliance.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = appliance.command("serve");
    // As a service manager would have it; the process is not the daemon's, so nothing is taken.
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1").env("NOTIFY_SOCKET", "/nowhere");
    appliance.launch_as(&mut command).unwrap();
    let children = daemon(&appliance).children();
    assert_eq!(children.len(), 1, "{children:?}");
    (appliance, children[0])
}

fn restart(appliance: &Appliance) -> crate::support::command::Output {
    let url = appliance.management("/v1/management/services");
    appliance.curl(&["-X", "DELETE", &url])
}

#[test]
fn without_a_command_nothing_runs_beside_the_daemon() {
    let appliance = Appliance::start(&Settings::both());
    assert_eq!(daemon(&appliance).children(), []);
}

#[test]
fn it_holds_two_pipes_and_is_told_nothing_of_the_daemons_sockets() {
    let (_appliance, helper) = started();
    let open = helper.open_of_its_own();
    let kinds: Vec<_> = open.iter().map(|(n, to)| (*n, to.split(':').next().unwrap())).collect();
    assert_eq!(kinds, [(0, "pipe"), (1, "pipe"), (2, "/dev/null")], "{open:?}");
    let environment = helper.environment();
    for name in ["LISTEN_", "NOTIFY_SOCKET"] {
        assert!(!environment.contains(name), "{environment}");
    }
}

#[test]
fn commands_run_with_the_rights_that_the_daemon_gave_up() {
    let (appliance, helper) = started();
    let me = rustix::process::geteuid().as_raw();
    assert_eq!(helper.status("Uid").split(' ').next(), Some(me.to_string().as_str()));
    let restarted = restart(&appliance);
    assert_eq!(restarted.status, 200, "{restarted:?}");
    appliance.logs(0, &format!("info restart_services: I am {me}"));
    appliance.logs(0, "info restart_services: completed");
}

#[test]
fn it_ends_with_the_daemon_however_that_ends() {
    for signal in [Signal::TERM, Signal::KILL] {
        let (mut appliance, helper) = started();
        assert!(helper.lives());
        appliance.signal(signal);
        appliance.ended(SOON);
        until(SOON, "the helper has ended", || (!helper.lives()).then_some(()));
    }
}

#[test]
fn without_it_a_restart_is_refused_with_the_reason_and_the_rest_goes_on() {
    let (appliance, helper) = started();
    kill_process(Pid::from_raw(helper.0.cast_signed()).unwrap(), Signal::KILL).unwrap();
    until(SOON, "the helper is reaped", || daemon(&appliance).children().is_empty().then_some(()));
    let refused = restart(&appliance);
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.out.contains("restart applianced"), "{refused:?}");
    appliance.read(&appliance.management("/v1/management/ping")).ok();
}
