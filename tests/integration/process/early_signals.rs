//! Signals that arrive before the daemon is ready, while it makes the key of its first certificate.

use std::fs;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::appliance::Appliance;
use crate::support::prerequisites::Namespace;
use crate::support::settings::Settings;
use crate::support::wait::{SOON, until};

/// Starts the daemon on nothing at all and sends `signal` as soon as it has made its state folder, which
/// is before the key.
fn signaled(appliance: &Appliance, signal: Signal) -> Child {
    let said = fs::File::create(appliance.folder().join("said")).unwrap();
    let mut daemon = appliance.command("serve").stdout(said).stderr(Stdio::null()).spawn().unwrap();
    until(SOON, "there is a state folder", || {
        assert_eq!(daemon.try_wait().unwrap(), None, "it ended before the signal");
        appliance.state("").exists().then_some(())
    });
    assert!(!appliance.state("tls/default.pem").exists(), "too late: the key is made");
    kill_process(Pid::from_child(&daemon), signal).unwrap();
    daemon
}

#[test]
fn a_hang_up_signal_before_the_daemon_is_ready_does_not_end_it() {
    let appliance = Appliance::prepare(&Settings::v1());
    let mut daemon = signaled(&appliance, Signal::HUP);
    until(SOON, "it is ready", || {
        assert_eq!(daemon.try_wait().unwrap(), None, "it ended instead of becoming ready");
        fs::read_to_string(appliance.folder().join("said"))
            .unwrap()
            .contains("ready\n")
            .then_some(())
    });
    appliance.read(&appliance.https("/v1/management/ping")).ok();
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    let ended = until(SOON, "it has ended", || daemon.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_stop_before_the_daemon_is_ready_ends_it_in_order() {
    let appliance = Appliance::prepare(&Settings::v1());
    let mut daemon = signaled(&appliance, Signal::TERM);
    let ended = until(SOON, "it has ended", || daemon.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    assert!(!appliance.control_socket().exists());
}

#[test]
fn folders_that_cannot_be_watched_are_told_once_and_left_to_a_hang_up_signal() {
    let Some(mut command) = Namespace::User.unshare() else { return };
    let mut appliance = Appliance::prepare(&Settings::v1());
    // A user namespace has a limit of its own, so that nobody else on this machine is short of them.
    let line = "echo 0 >/proc/sys/user/max_inotify_instances && exec \"$@\"";
    let serve = appliance.command("serve");
    command.args(["sh", "-c", line, "sh"]);
    command.arg(serve.get_program()).args(serve.get_args()).env_remove("NOTIFY_SOCKET");
    assert_eq!(appliance.launch_as(&mut command), Ok(()));
    appliance.logs(0, "warning cannot watch the state folder");
    let log = appliance.log();
    assert_eq!(log.matches("cannot watch").count(), 1, "{log}");
    assert!(log.contains("SIGHUP") && log.contains("max_inotify_instances"), "{log}");
    appliance.signal(Signal::HUP);
    appliance.read(&appliance.https("/v1/management/ping")).ok();
}
