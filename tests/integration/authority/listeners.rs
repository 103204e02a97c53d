//! Where `serve` listens: several addresses, Unix sockets, and sockets from a service manager.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use applianced::protocol::message::{Kind, Op};

use crate::authority::fixture::{fixture, serving};
use crate::authority::machine::exchange;
use crate::support::settings::free_port;
use crate::support::vendor::{Vendor, program};
use crate::support::wait::{SOON, until};

const ROOT: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// What a Unix socket answers.
fn ask_unix(path: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_address_is_served() {
    let (mut vendor, _, mut machine) = fixture(&[]);
    let second = format!("127.0.0.1:{}", free_port());
    let third = format!("[::1]:{}", second.rsplit(':').next().unwrap());
    let path = vendor.scratch("http.sock");
    let unix = format!("unix:{}", path.display());
    let all = ["--listen", &second, "--listen", &third, "--listen", &unix];
    let first = vendor.serve_with(&all);
    assert_eq!(machine.ask(first, Op::Activate).kind, Kind::Lease);
    assert_eq!(machine.ask(second.parse().unwrap(), Op::Sync).kind, Kind::Lease);
    let mut command = Command::new("curl");
    let url = format!("http://{third}/");
    let said = crate::support::command::run(command.args(["-sS", "-g", &url])).out;
    assert_eq!(said, "license authority\n");
    assert!(ask_unix(&path, ROOT).starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(vendor.stop().code(), Some(0));
    assert!(!path.exists(), "its socket is removed");
}

#[test]
fn an_ipv6_wildcard_leaves_the_ipv4_one_its_port() {
    let mut vendor = Vendor::init();
    let port = free_port();
    let [v4, v6] = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
    let mut command = vendor.command(&["serve", "--listen", &v6, "--listen", &v4]);
    command.arg("--listen").arg(format!("127.0.0.1:{}", free_port()));
    vendor.serve_as(command).unwrap();
    assert_eq!(exchange(format!("127.0.0.1:{port}").parse().unwrap(), ROOT).unwrap().0, 200);
}

#[test]
fn a_unix_socket_is_for_its_owner_and_group_and_a_stale_one_is_replaced() {
    let mut vendor = Vendor::init();
    let path = vendor.scratch("http.sock");
    let unix = format!("unix:{}", path.display());
    vendor.serve_with(&["--listen", &unix]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);
    vendor.signal(rustix::process::Signal::KILL);
    vendor.ended();
    assert!(path.exists());
    vendor.serve_with(&["--listen", &unix]);
    assert!(ask_unix(&path, ROOT).contains("license authority"));
}

#[test]
fn a_unix_socket_on_which_somebody_answers_is_refused_in_words() {
    let vendor = Vendor::init();
    let path = vendor.scratch("http.sock");
    let _other = UnixListener::bind(&path).unwrap();
    let unix = format!("unix:{}", path.display());
    let refused = vendor.run(&["serve", "--listen", &unix]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("another daemon already answers on"), "{refused:?}");
    fs::write(vendor.scratch("file"), "precious").unwrap();
    let unix = format!("unix:{}", vendor.scratch("file").display());
    let refused = vendor.run(&["serve", "--listen", &unix]);
    assert!(refused.err.contains("is not a socket"), "{refused:?}");
}

#[test]
fn an_address_in_use_is_refused_in_words_and_so_is_none() {
    let (vendor, ..) = serving(&[]);
    let address = vendor.address().to_string();
    let other = Vendor::init();
    let refused = other.run(&["serve", "--listen", &address]);
    assert!(refused.code == 1 && refused.err.contains("shows by whom"), "{refused:?}");
    let refused = other.run(&["serve"]);
    assert!(refused.code == 2 && refused.err.contains("--listen"), "{refused:?}");
}

/// `serve` with its standard input as descriptor 3.
fn passing(vendor: &Vendor, flags: &str) -> Command {
    let line = format!(
        "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" serve {flags} --dir \"$1\""
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(&line).arg(program()).arg(vendor.dir());
    command
}

#[test]
fn sockets_of_a_service_manager_are_served_without_a_flag_or_beside_one() {
    let mut vendor = Vendor::init();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    for flags in [String::new(), format!("--listen {address}")] {
        let command = passing(&vendor, &flags);
        let given = OwnedFd::from(socket.try_clone().unwrap());
        assert_eq!(vendor.serve_given(command, given).unwrap(), address);
        assert_eq!(exchange(address, ROOT).unwrap().0, 200);
        vendor.stop();
    }
    let path = vendor.scratch("passed.sock");
    let passed = UnixListener::bind(&path).unwrap();
    let other = format!("127.0.0.1:{}", free_port());
    let command = passing(&vendor, &format!("--listen {other}"));
    vendor.serve_given(command, OwnedFd::from(passed)).unwrap();
    assert!(ask_unix(&path, ROOT).contains("license authority"));
    vendor.stop();
    assert!(path.exists(), "the service manager's socket stays");
}

#[test]
fn the_service_manager_hears_of_readiness_and_of_the_stop() {
    let mut vendor = Vendor::init();
    let path = vendor.scratch("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    let heard = || {
        until(SOON, "the service manager hears", || {
            let mut text = [0; 1_024];
            let length = manager.recv(&mut text).ok()?;
            Some(String::from_utf8_lossy(&text[..length]).into_owned())
        })
    };
    let mut command = vendor.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &path);
    let address = vendor.serve_as(command).unwrap();
    assert_eq!(heard(), format!("READY=1\nSTATUS=listening on {address}"));
    vendor.stop();
    assert!(heard().starts_with("STOPPING=1\nSTATUS="));
}
