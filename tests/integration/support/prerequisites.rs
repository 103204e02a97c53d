//! Whether this machine lets a test try what it needs: root, namespaces, tracing.

use std::process::Command;

use super::command::run;
pub(crate) use super::not_tried::not_tried;

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

fn traces(mut strace: Command) -> bool {
    let tried = run(strace.args(["-qq", "-o", "/dev/null", "true"]));
    if tried.code != 0 {
        not_tried(&tried.err);
    }
    tried.code == 0
}
