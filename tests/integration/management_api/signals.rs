//! SIGTERM lets what runs come to its end; SIGHUP takes in files changed by hand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, fingerprint, form};
use crate::support::command::{finished, run};
use crate::support::engine::{Engine, SLOW};
use crate::support::settings::Settings;
use crate::support::tls::handshake;
use crate::support::wait::{SOON, until};

/// The promised 10 s and some air for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(15);

fn begun(received: &Path) {
    until(SOON, "the response has begun", || {
        std::fs::metadata(received).is_ok_and(|file| file.len() > 0).then_some(())
    });
}

#[test]
fn a_stop_lets_a_running_response_finish_and_takes_no_new_connection() {
    let engine = Engine::start();
    let mut appliance = Appliance::start(&Settings::v1().speech(engine.address));
    let tap = engine.stream();
    let received = appliance.folder().join("received");
    let path = received.to_str().unwrap();
    let long = appliance.curl_in_background(&["-N", "-o", path, &appliance.https(SLOW)]);
    tap.send(b"first half, ");
    begun(&received);

    appliance.signal(Signal::TERM);
    for port in [appliance.ports.https, appliance.ports.http, appliance.ports.management] {
        until(SOON, "new connections are refused", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err().then_some(())
        });
    }
    tap.send(b"second half");
    tap.finish();
    let long = finished(&long.wait_with_output().unwrap());
    assert_eq!((long.code, long.status), (0, 200), "{long:?}");
    assert_eq!(std::fs::read_to_string(&received).unwrap(), "first half, second half");
    assert_eq!(appliance.ended(STOP_LIMIT).code(), Some(0));
}

#[test]
fn a_stop_lets_a_call_over_the_control_socket_finish() {
    let mut appliance = Appliance::start(&Settings::v1());
    let body = r#"{"password": "of the last minute"}"#;
    let mut caller = UnixStream::connect(appliance.control_socket()).unwrap();
    let head = "POST /v1/security/adminpassword HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n";
    write!(caller, "{head}Content-Length: {}\r\n\r\n", body.len()).unwrap();
    // It is being answered: it has been told to go on.
    let mut caller = BufReader::new(caller);
    let told = caller.by_ref().lines().map_while(|line| line.ok().filter(|line| !line.is_empty()));
    assert_eq!(told.collect::<Vec<_>>().first().unwrap(), "HTTP/1.1 100 Continue");
    appliance.signal(Signal::TERM);
    until(SOON, "the socket is gone", || (!appliance.control_socket().exists()).then_some(()));
    caller.get_mut().write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    caller.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(appliance.ended(STOP_LIMIT).code(), Some(0));
    assert!(appliance.state("admin.htpasswd").exists());
}

#[test]
fn a_response_that_never_ends_does_not_hold_up_a_stop() {
    let engine = Engine::start();
    let mut appliance = Appliance::start(&Settings::v1().speech(engine.address));
    let tap = engine.stream();
    let received = appliance.folder().join("received");
    let path = received.to_str().unwrap();
    let long = appliance.curl_in_background(&["-N", "-o", path, &appliance.https(SLOW)]);
    tap.send(b"x");
    begun(&received);
    appliance.signal(Signal::TERM);
    assert_eq!(appliance.ended(STOP_LIMIT).code(), Some(0));
    let long = finished(&long.wait_with_output().unwrap());
    assert_ne!(long.code, 0, "a response without its end looked whole: {long:?}");
}

#[test]
fn an_idle_appliance_stops_with_exit_code_0_and_leaves_no_socket_behind() {
    let mut appliance = Appliance::start(&Settings::both());
    assert!(appliance.control_socket().exists());
    assert_eq!(appliance.stop().code(), Some(0));
    assert!(!appliance.control_socket().exists());
}

#[test]
fn a_hang_up_signal_takes_in_a_certificate_changed_by_hand_and_keeps_the_old_for_a_bad_one() {
    let appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let pairs = [authority.issue("a", Key::Ec("P-256")), authority.issue("b", Key::Ec("P-256"))];
    let url = appliance.https("/v1/security/sslcertificate");
    let file = appliance.state("tls/uploaded.pem");
    let upload = |turn: usize| {
        let [a, b, c, d] = form(&pairs[turn].key, &pairs[turn].cert);
        appliance.curl(&[a, b, c, d, url.clone()]).ok();
        std::fs::read(&file).unwrap()
    };
    let first = upload(0);
    upload(1);
    let shown = || handshake(appliance.ports.https).unwrap().fingerprint;
    assert_eq!(shown(), fingerprint(&pairs[1].cert));

    std::fs::write(&file, &first).unwrap();
    appliance.signal(Signal::HUP);
    until(SOON, "the certificate put there by hand is shown", || {
        (shown() == fingerprint(&pairs[0].cert)).then_some(())
    });

    let known = appliance.log().len();
    std::fs::write(&file, "-----BEGIN NONSENSE-----\n").unwrap();
    appliance.signal(Signal::HUP);
    appliance.logs(known, "uploaded.pem");
    assert_eq!(shown(), fingerprint(&pairs[0].cert));
}

#[test]
fn a_hang_up_signal_takes_in_a_password_made_by_htpasswd_and_a_bad_file_lets_nobody_in() {
    let appliance = Appliance::start(&Settings::v1());
    let set = appliance.https("/v1/security/adminpassword");
    appliance.post(&set, r#"{"password": "first"}"#).ok();
    let url = appliance.https("/v1/management/services");
    let file = appliance.state("admin.htpasswd");
    let made =
        run(Command::new("htpasswd").args(["-B", "-b"]).arg(&file).args(["admin", "second"]));
    assert_eq!(made.code, 0, "{made:?}");
    appliance.signal(Signal::HUP);
    // A look too early counts as a wrong guess, so each comes from another address.
    let mut addresses = (2..=250).map(|last| format!("127.0.0.{last}"));
    until(SOON, "the password made by htpasswd is taken in", || {
        let from = addresses.next()?;
        let looked = appliance.curl(&["--interface", &from, "-u", "admin:second", &url]);
        (looked.status == 200).then_some(())
    });
    assert_eq!(appliance.read_as("first", &url).status, 401);

    let known = appliance.log().len();
    std::fs::write(&file, "admin:not a hash\n").unwrap();
    appliance.signal(Signal::HUP);
    appliance.logs(known, "admin.htpasswd");
    assert_eq!(appliance.read_as("second", &url).status, 401);
    assert_eq!(appliance.read(&url).status, 401);
    appliance.program("reset", &[]).ok();
    assert_eq!(appliance.read(&url).status, 200);
}

#[test]
fn a_file_whose_mode_was_mended_is_taken_in_without_a_signal() {
    let appliance = Appliance::start(&Settings::v1());
    let set = appliance.https("/v1/security/adminpassword");
    appliance.post(&set, r#"{"password": "first"}"#).ok();
    let url = appliance.https("/v1/management/services");
    let file = appliance.state("admin.htpasswd");
    let chmod = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();

    let known = appliance.log().len();
    chmod(0o666);
    appliance.signal(Signal::HUP);
    appliance.logs(known, "repair it with `chmod 600 ");
    assert_eq!(appliance.read_as("first", &url).status, 401);

    let known = appliance.log().len();
    chmod(0o600);
    appliance.logs(known, "admin.htpasswd has changed: its password is in force");
    appliance.read_as("first", &url).ok();
}
