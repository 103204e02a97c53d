//! What this machine does not let a test try: told, and taken out of what passed.
//!
//! Rust's harness knows no test that gives up while it runs, and counts it as passed. So each writes a
//! line into the file that `scripts/test` names, which counts and prints them in the end.

use std::fs::File;
use std::io::Write as _;
use std::panic::Location;
use std::process::Command;

use super::command::run;

/// The environment variable that names the file.
const LIST: &str = "APPLIANCED_NOT_TRIED";

/// Tells that the test that runs was not tried, and why. Its caller returns.
#[track_caller]
pub(crate) fn not_tried(why: &str) {
    let thread = std::thread::current();
    let test = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        // The harness has but one thread.
        _ => Location::caller().to_string(),
    };
    let line =
        format!("{}::{test}: {}\n", env!("CARGO_CRATE_NAME"), why.trim().replace('\n', "; "));
    // Past the harness, which shows what a test says only if it fails.
    let _ = std::io::stderr().write_all(format!("NOT TRIED: {line}").as_bytes());
    if let Some(list) = std::env::var_os(LIST) {
        let mut list = File::options().append(true).create(true).open(list).unwrap();
        list.write_all(line.as_bytes()).unwrap();
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the test may do what only root can; else it is told as not tried.
#[track_caller]
pub(crate) fn root() -> bool {
    if !is_root() {
        not_tried("only root can try this");
    }
    is_root()
}

/// A namespace of a test's own, unshare(1), in which it is root.
#[derive(Clone, Copy)]
pub(crate) enum Namespace {
    Mount,
    Net,
    User,
}

impl Namespace {
    /// Options of unshare, and what must work inside.
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Namespace::Mount => ("--mount", "mount --bind /etc /etc"),
            Namespace::Net => ("--net", "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up"),
            Namespace::User => ("--user", "echo 0 >/proc/sys/user/max_inotify_instances"),
        }
    }

    /// `unshare`, to be followed by a program; none, and told as not tried, where this machine refuses it:
    /// as containers do, a chroot, and some systems to all but root.
    #[track_caller]
    pub(crate) fn unshare(self) -> Option<Command> {
        let (kind, needed) = self.parts();
        let command = || {
            let mut command = Command::new("unshare");
            command.arg(kind);
            // Root needs no other namespace to be root in.
            if !is_root() || matches!(self, Namespace::User) {
                command.arg("--map-root-user");
            }
            command
        };
        let tried = run(command().args(["sh", "-c", needed]));
        if tried.code != 0 {
            not_tried(&tried.err);
            return None;
        }
        Some(command())
    }
}

/// What stands before the command line of a daemon that shall be traced: its memory is closed to all but
/// root, and who is not root becomes it in a user namespace (user_namespaces(7)) of the two.
pub(crate) fn traceable(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.arg("--map-root-user").arg(program);
    command
}

/// Whether a daemon can be traced here; else the test is told as not tried.
#[track_caller]
pub(crate) fn can_trace() -> bool {
    traces(traceable("strace"))
}

/// The same for a program whose memory is not closed.
#[track_caller]
pub(crate) fn can_trace_open() -> bool {
    traces(Command::new("strace"))
}

#[track_caller]
fn traces(mut strace: Command) -> bool {
    let tried = run(strace.args(["-qq", "-o", "/dev/null", "true"]));
    if tried.code != 0 {
        not_tried(&tried.err);
    }
    tried.code == 0
}
