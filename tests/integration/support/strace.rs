//! Reading what `strace -f -y` wrote: the system calls that touch a folder.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

use super::wait::{SOON, until};

/// One system call: its name, what it was called with, and the paths of the folder it names.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) line: String,
    /// In the order they stand in the call; `-y` shows an open file by its path.
    pub(crate) paths: Vec<String>,
}

/// The calls that change what a folder holds or make it durable; `?` lets strace skip what this
/// machine doesn't have. Opening is among them because it may create.
pub(crate) const CHANGING: [&str; 23] = [
    "?open",
    "?openat",
    "?creat",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "ftruncate",
    "?truncate",
    "fsync",
    "fdatasync",
    "?rename",
    "?renameat",
    "renameat2",
    "?unlink",
    "unlinkat",
    "?link",
    "linkat",
    "?chmod",
    "fchmod",
    "fchmodat",
    "?mkdir",
    "mkdirat",
];

/// The calls by which an answer leaves; `write` and `writev` are in [`CHANGING`].
pub(crate) const SENDING: [&str; 2] = ["sendto", "sendmsg"];

/// strace with `inject` at every thread of a running daemon, the later ones included; it ends with it.
pub(crate) fn attach(daemon: Pid, inject: &str) -> Child {
    let id = daemon.as_raw_nonzero();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", inject, "-p", &id.to_string()]);
    let strace = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until(SOON, "strace is attached to every thread", || {
        // Gone already: it was killed at a call it was waiting in.
        let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Some(()) };
        let untraced = |path: &Path| {
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            status.contains("TracerPid:\t0\n") && !status.contains("State:\tZ")
        };
        (!threads.flatten().any(|thread| untraced(&thread.path()))).then_some(())
    });
    strace
}

/// The finished or unfinished calls in a trace that touch `folder`, in order.
pub(crate) fn calls(trace: &str, folder: &Path) -> Vec<Call> {
    trace
        .lines()
        .filter_map(|line| call(line, folder))
        .filter(|call| !call.paths.is_empty())
        .collect()
}

/// One line of a trace: `PID name(arguments) = result`.
pub(crate) fn call(line: &str, folder: &Path) -> Option<Call> {
    let text = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let (name, arguments) = text.split_once('(')?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None; // `<... resumed>`, `+++ exited`, `--- SIGKILL`
    }
    // What a call returns isn't what it was called with: openat shows the new file's path there.
    let arguments = arguments.rsplit_once(") = ").map_or(arguments, |(arguments, _)| arguments);
    Some(Call { name: name.to_owned(), line: line.to_owned(), paths: paths(arguments, folder) })
}

/// Everything in `<…>` or `"…"` that lies in the folder; a name given relative to an open folder is completed.
fn paths(arguments: &str, folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let inside = |path: &str| path == folder || path.starts_with(&format!("{folder}/"));
    let mut found = Vec::new();
    let mut open_folder: Option<&str> = None;
    let mut rest = arguments;
    while let Some(at) = rest.find(['<', '"']) {
        let closing = if rest.as_bytes()[at] == b'<' { '>' } else { '"' };
        let Some(length) = rest[at + 1..].find(closing) else { break };
        let text = &rest[at + 1..at + 1 + length];
        if closing == '>' {
            open_folder = Some(text);
            // In a call that takes a folder and a name, the folder alone isn't what is touched.
            let names_follow = rest[at + 2 + length..].starts_with(", \"");
            if inside(text) && !(names_follow && Path::new(text).is_dir()) {
                found.push(text.to_owned());
            }
        } else if inside(text) {
            found.push(text.to_owned());
        } else if let Some(parent) =
            open_folder.filter(|parent| inside(parent) && Path::new(parent).is_dir())
        {
            found.push(format!("{parent}/{text}"));
        }
        rest = &rest[at + 2 + length..];
    }
    found
}

/// Fails the test unless every new name was synced before it took the place of an old one, and the
/// folder after it: what is not synced when the answer leaves can be lost with the power.
pub(crate) fn assert_durable(calls: &[Call]) {
    let synced = |calls: &[Call], path: &str| {
        calls.iter().any(|call| {
            matches!(call.name.as_str(), "fsync" | "fdatasync")
                && call.paths.first().is_some_and(|p| p == path)
        })
    };
    let parent = |path: &str| Path::new(path).parent().unwrap().to_str().unwrap().to_owned();
    let mut changes = 0;
    for (at, call) in calls.iter().enumerate() {
        let (before, after) = (&calls[..at], &calls[at + 1..]);
        match call.name.as_str() {
            "rename" | "renameat" | "renameat2" => {
                let [from, to] = [&call.paths[0], &call.paths[1]];
                // Moving a file aside or back moves bytes that were synced when they were written.
                let written = before
                    .iter()
                    .any(|c| c.name.contains("write") && c.paths.first() == Some(from));
                assert!(
                    !written || synced(before, from),
                    "renamed before it was synced: {}",
                    call.line
                );
                assert!(synced(after, &parent(to)), "folder not synced after: {}", call.line);
                changes += 1;
            }
            "unlink" | "unlinkat" => {
                let gone = &call.paths[0];
                assert!(synced(after, &parent(gone)), "folder not synced after: {}", call.line);
                changes += 1;
            }
            _ => {}
        }
    }
    let lines: BTreeSet<&str> = calls.iter().map(|call| call.line.as_str()).collect();
    assert!(changes > 0, "nothing was replaced or removed before the answer left: {lines:#?}");
}
