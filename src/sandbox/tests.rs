//! What the kernel refuses to a confined thread, tried in a process of its own: this test program,
//! started again with [`FOLDER`] in its environment.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Debug;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Pid, chroot, getppid, pidfd_open, test_kill_process};

use super::{confine, confine_authority};
use crate::config::Config;
use crate::log::Log;
use crate::sandbox::tests::not_tried::not_tried;

#[path = "../../tests/integration/support/not_tried.rs"]
mod not_tried;

const FOLDER: &str = "APPLIANCED_CONFINED_IN";

/// The output of the confined daemon: a line for each thing it tried.
fn confined(name: &str) -> String {
    run(name, "sandbox::tests::inside")
}

/// The output of a confined process, which runs one of the tests below.
fn run(name: &str, inside: &str) -> String {
    let folder = std::env::temp_dir().join(format!("applianced-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(folder.join("outside"), "").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", inside])
        .env(FOLDER, &folder)
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Every line that begins with one of the words ends with one of `ends`; there is at least one each.
#[track_caller]
fn all_end(said: &str, words: &[&str], ends: &[&str]) {
    for word in words {
        let lines: Vec<_> = said.lines().filter(|line| line.starts_with(word)).collect();
        assert!(!lines.is_empty(), "nothing about {word:?} in {said}");
        for line in lines {
            assert!(ends.iter().any(|end| line.ends_with(end)), "{line:?} in {said}");
        }
    }
}

#[test]
fn a_confined_thread_does_its_work() {
    let said = confined("works");
    all_end(
        &said,
        &[
            "keep", "link", "folder", "remove", "socket", "mounts", "sys", "names", "connect",
            "source", "thread", "room", "watch",
        ],
        &[": done"],
    );
}

#[test]
fn a_confined_thread_gets_at_no_other_file_and_binds_no_port() {
    let said = confined("files");
    if said.contains("Landlock") {
        not_tried(&format!("this kernel can't: {said}"));
        return;
    }
    let denied = ["PermissionDenied", "Os { code: 13"];
    for word in ["read outside", "write outside", "make outside", "list outside", "bind a port"] {
        let line = said.lines().find(|line| line.starts_with(word)).unwrap_or_default();
        assert!(denied.iter().any(|denied| line.contains(denied)), "{word}: {said}");
    }
}

#[test]
fn a_confined_thread_runs_no_program_and_makes_no_call_it_has_no_use_for() {
    let said = confined("calls");
    if said.contains("no seccomp") {
        not_tried(&format!("this kernel can't: {said}"));
        return;
    }
    let calls = [
        "a program",
        "packet",
        "netlink",
        "seqpacket",
        "chroot",
        "signal",
        "pidfd",
        "host name",
        "root again",
    ];
    for word in calls {
        let line = said.lines().find(|line| line.starts_with(word)).unwrap_or_default();
        assert!(line.contains("code: 38") || line.contains("Unsupported"), "{word}: {said}");
    }
}

#[test]
fn the_authority_reaches_its_folder_and_its_sockets_and_nothing_else() {
    let said = run("authority", "sandbox::tests::inside_the_authority");
    all_end(&said, &["keep", "journal", "socket", "names", "connect", "thread"], &[": done"]);
    if said.contains("Landlock") {
        not_tried(&format!("this kernel can't: {said}"));
        return;
    }
    let denied = ["PermissionDenied", "Os { code: 13"];
    let forbidden =
        ["read outside", "write outside", "make outside", "list outside", "bind a port", "proc"];
    for word in forbidden {
        let line = said.lines().find(|line| line.starts_with(word)).unwrap_or_default();
        assert!(denied.iter().any(|denied| line.contains(denied)), "{word}: {said}");
    }
}

/// Runs only when started by the test above.
#[test]
fn inside_the_authority() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    println!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (state, run) = (folder.join("state"), folder.join("run"));
    fs::create_dir(&state).unwrap();
    fs::create_dir(&run).unwrap();
    let socket = run.join("http.sock");
    let bound = UnixListener::bind(&socket).unwrap();
    let user = rustix::process::geteuid().is_root().then_some("65534:65534");
    if user.is_some() {
        // As a service manager does that makes a folder for the sockets.
        std::os::unix::fs::chown(&run, Some(65_534), Some(65_534)).unwrap();
    }
    let warnings = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&warnings);
    let log = Log::to(move |line| kept.lock().unwrap().push_str(line));
    confine_authority(&state, &[&socket], user, &log).unwrap();
    println!("{}", warnings.lock().unwrap());
    let file = state.join("file");
    let write = || fs::write(state.join(".new"), "x");
    report("keep", write().and_then(|()| fs::rename(state.join(".new"), &file)));
    let journal = File::options().append(true).open(&file);
    report("journal", journal.and_then(|file| file.set_len(0).and_then(|()| file.sync_data())));
    drop(bound);
    report("socket", fs::remove_file(&socket));
    report("names", "localhost:80".to_socket_addrs());
    report("connect", TcpStream::connect(listener.local_addr().unwrap()));
    report("thread", std::thread::Builder::new().spawn(|| {}));
    report("proc", fs::read("/proc/self/mounts"));
    forbidden(&folder);
}

fn report<T, E: Debug>(what: &str, tried: Result<T, E>) {
    match tried {
        Ok(_) => println!("{what}: done"),
        Err(error) => println!("{what}: {error:?}"),
    }
}

/// Runs only when started by the other tests.
#[test]
fn inside() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    println!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (state, run) = (folder.join("state"), folder.join("run"));
    let mut config = Config { state_dir: state.clone(), run_dir: run.clone(), ..Config::default() };
    if rustix::process::geteuid().is_root() {
        config.user = Some("65534:65534".to_owned());
    }
    let warnings = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&warnings);
    confine(&config, &Log::to(move |line| kept.lock().unwrap().push_str(line))).unwrap();
    println!("{}", warnings.lock().unwrap());

    allowed(&state, &run, &listener);
    forbidden(&folder);
}

fn allowed(state: &Path, run: &Path, listener: &TcpListener) {
    let file = state.join("file");
    report(
        "keep",
        fs::write(state.join(".new"), "x").and_then(|()| fs::rename(state.join(".new"), &file)),
    );
    report("link", fs::hard_link(&file, state.join("aside")));
    report("folder", fs::create_dir(state.join("tls")));
    report("remove", fs::remove_file(&file));
    report("socket", UnixListener::bind(run.join("x.sock")));
    report("mounts", fs::read("/proc/self/mounts"));
    // A plain chroot may lack this folder; a denied access is another error.
    report(
        "sys",
        fs::read_dir("/sys/class/net").map(drop).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }),
    );
    report("names", "localhost:80".to_socket_addrs());
    report("connect", TcpStream::connect(listener.local_addr().unwrap()));
    let source = |socket: UdpSocket| socket.connect(listener.local_addr()?).map(|()| socket);
    report("source", UdpSocket::bind("0.0.0.0:0").and_then(source).and_then(|s| s.local_addr()));
    report("thread", std::thread::Builder::new().name("x".to_owned()).spawn(|| {}));
    report("room", rustix::fs::statvfs("/usr"));
    let flags = rustix::fs::inotify::CreateFlags::CLOEXEC;
    report("watch", rustix::fs::inotify::init(flags));
}

fn forbidden(folder: &Path) {
    let outside = folder.join("outside");
    report("read outside", File::open(&outside));
    report("write outside", File::options().write(true).open(&outside));
    report("make outside", File::create(folder.join("new")));
    report("list outside", fs::read_dir(folder));
    report("bind a port", TcpListener::bind("127.0.0.1:0"));

    let errno = |error: rustix::io::Errno| std::io::Error::from(error);
    let socket =
        |family, kind| socket_with(family, kind, SocketFlags::empty(), None).map_err(errno);
    report("a program", Command::new("/bin/true").spawn());
    report("packet", socket(AddressFamily::PACKET, SocketType::DGRAM));
    report("netlink", socket(AddressFamily::NETLINK, SocketType::RAW));
    report("seqpacket", socket(AddressFamily::UNIX, SocketType::SEQPACKET));
    report("chroot", chroot("/").map_err(errno));
    let parent: Pid = getppid().unwrap();
    report("signal", test_kill_process(parent).map_err(errno));
    report("pidfd", pidfd_open(parent, rustix::process::PidfdFlags::empty()).map_err(errno));
    report("host name", rustix::system::sethostname(b"x").map_err(errno));
    let root = rustix::fs::Uid::ROOT;
    report("root again", rustix::thread::set_thread_uid(root).map_err(errno));
}
