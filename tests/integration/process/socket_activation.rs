//! Sockets that a service manager has bound: sd_listen_fds(3).

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::process::proc::daemon;
use crate::process::user::{NOBODY, change};
use crate::support::appliance::{Appliance, program};
use crate::support::prerequisites::{is_root, root};
use crate::support::settings::{Settings, free_port};

/// The daemon with its standard input as descriptor 3, by way of a shell. `before` stands before the
/// program.
fn launcher(appliance: &Appliance, pid: &str, before: &str, program: &Path) -> Command {
    let line = format!(
        "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID={pid}; exec {before} \"$@\""
    );
    let mut command = Command::new("sh");
    command.args(["-c", &line, "sh"]).arg(program).args(["serve", "--config"]);
    command.arg(appliance.config());
    command
}

/// Waits until it ends instead of starting, with all of `words` in the reason.
#[track_caller]
fn refused(mut appliance: Appliance, passed: impl Into<Stdio>, words: &[&str]) {
    let mut command = launcher(&appliance, "$$", "", &program());
    let ended = appliance.launch_with_input(&mut command, passed).expect_err("it started");
    assert_eq!(ended.code(), Some(1));
    for word in words {
        appliance.logs(0, word);
    }
    assert_eq!(appliance.log().lines().count(), 1, "{}", appliance.log());
}

/// Launches with the socket kept open by this test, so that a bind of the same port would fail.
#[track_caller]
fn launch(appliance: &mut Appliance, command: &mut Command, socket: &TcpListener) {
    let started = appliance.launch_with_input(command, OwnedFd::from(socket.try_clone().unwrap()));
    assert_eq!(started, Ok(()));
}

#[test]
fn a_passed_socket_is_served_and_the_others_are_bound_as_usual() {
    let mut appliance = Appliance::prepare(&Settings::both());
    let socket = TcpListener::bind(("127.0.0.1", appliance.ports.management)).unwrap();
    let mut command = launcher(&appliance, "$$", "", &program());
    launch(&mut appliance, &mut command, &socket);
    drop(socket);
    appliance.read(&appliance.management("/v1/management/ping")).ok();
    appliance.read(&appliance.https("/v1/management/ping")).ok();
    assert_eq!(appliance.said().matches("listening on").count(), 8, "{}", appliance.said());
    if is_root() {
        let passed: Vec<_> =
            daemon(&appliance).open().into_iter().filter(|(number, _)| *number == 3).collect();
        assert!(passed.iter().all(|(_, to)| to.starts_with("socket:")), "{passed:?}");
    }
}

#[test]
fn a_low_port_needs_no_root_if_it_is_passed() {
    if !root() {
        return;
    }
    let mut appliance = Appliance::prepare(&Settings::v1());
    fs::set_permissions(appliance.folder(), PermissionsExt::from_mode(0o777)).unwrap();
    let socket = (500..1024)
        .rev()
        .find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .expect("no free port below 1024");
    let address = socket.local_addr().unwrap();
    change(&appliance, "listen", json!([{"address": address, "serves": "all"}]));
    // A copy that this user can reach, wherever the build is.
    let copy = appliance.folder().join("applianced");
    fs::copy(program(), &copy).unwrap();
    let before = format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups");
    let mut command = launcher(&appliance, "$$", &before, &copy);
    launch(&mut appliance, &mut command, &socket);
    appliance.read(&format!("http://{address}/v1/management/ping")).ok();
    assert_eq!(daemon(&appliance).status("Uid").split(' ').next(), Some("65534"));
}

#[test]
fn a_socket_that_no_listener_wants_is_an_error_that_names_it() {
    let appliance = Appliance::prepare(&Settings::v1());
    let socket = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    refused(appliance, OwnedFd::from(socket), &[&address, "\"listen\""]);
}

#[test]
fn what_is_no_tcp_socket_is_an_error() {
    let appliance = Appliance::prepare(&Settings::v1());
    let file = fs::File::open(appliance.config()).unwrap();
    refused(appliance, file, &["socket 1 of 1 from LISTEN_FDS"]);
}

#[test]
fn what_is_meant_for_another_process_is_left_alone() {
    let mut appliance = Appliance::prepare(&Settings::v1());
    let socket = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let mut command = launcher(&appliance, "1", "", &program());
    launch(&mut appliance, &mut command, &socket);
    appliance.read(&appliance.management("/v1/management/ping")).ok();
}
