//! The authority is killed at any point of an answer: the appliance asks again and gets one answer, and
//! the books have every second once.
//!
//! strace kills it at the N-th of each system call that touches a file of its folder, or a socket. A
//! recorded run is also read for the order of writing, syncing and renaming, which a kill can't show.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use applianced::protocol::message::{Answer, Denial, Kind, Op, Request};

use crate::authority::machine::Machine;
use rustix::process::Signal;

use crate::authority::fixture::sell;
use crate::support::folder::copy;
use crate::support::prerequisites::{can_trace, traceable};
use crate::support::strace::{CHANGING, Call, SENDING, attach, calls};
use crate::support::vendor::{Vendor, program};
use crate::support::wait::{SOON, until};

/// More calls of one kind than any answer should need.
const MOST_CALLS: usize = 100;

/// A step writes and syncs its journal, and writes at least a license and a line of its audit log.
const LEAST: usize = 4;

#[test]
fn an_activation_cut_anywhere_is_made_once() {
    survives(Op::Activate, [940, 60, 0]);
}

#[test]
fn a_sync_cut_anywhere_is_made_once() {
    survives(Op::Sync, [900, 60, 40]);
}

#[test]
fn a_return_cut_anywhere_is_credited_once() {
    survives(Op::Return, [960, 0, 40]);
}

#[test]
fn a_disk_that_refuses_at_any_point_costs_a_retry_and_no_second() {
    if !can_trace() {
        return;
    }
    let mut scene = Scene::new(Op::Sync, [900, 60, 40]);
    let recorded = scene.record();
    let paths: BTreeSet<String> = recorded.iter().flat_map(|call| call.paths.clone()).collect();
    let mut refused = Vec::new();
    for (kind, error) in [("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("rename", "EROFS")] {
        for number in 1..=recorded.iter().filter(|call| call.name == kind).count() {
            let inject = format!("{kind}:error={error}:when={number}");
            if scene.refused(kind, &inject, &paths) {
                refused.push((kind, number));
            }
        }
    }
    // What the journal holds has happened: a file that can't follow is written later, and until then nothing
    // else of its shard is answered.
    let journal = [("pwrite64", 1), ("fdatasync", 1)];
    assert!(journal.iter().all(|point| refused.contains(point)), "{refused:?}: {recorded:#?}");
}

/// Tries every point of the answer to `op`, after which `figures` are left, held and used.
fn survives(op: Op, figures: [i64; 3]) {
    if !can_trace() {
        return;
    }
    let mut scene = Scene::new(op, figures);
    let recorded = scene.record();
    let paths: BTreeSet<String> = recorded.iter().flat_map(|call| call.paths.clone()).collect();
    let kinds: BTreeSet<&str> = recorded.iter().map(|call| call.name.as_str()).collect();
    let mut tried = BTreeMap::new();
    for kind in kinds {
        tried.insert(kind, scene.cut_at_each(kind, &paths));
    }
    let _ = writeln!(std::io::stderr(), "power cut, {}: {tried:?}", op.name());
    for (kind, reached) in &tried {
        let wanted = recorded.iter().filter(|call| call.name == *kind).count();
        assert!(
            kind.contains("open") || *reached >= wanted,
            "{reached} of {wanted} {kind}: {recorded:#?}"
        );
    }
    assert!(tried.values().sum::<usize>() >= LEAST, "{tried:?}");
    let sockets = ["accept4", "setsockopt", "recvfrom", "sendto", "shutdown"];
    let tried = sockets.map(|kind| (kind, scene.cut_at_each_socket_call(kind)));
    let _ = writeln!(std::io::stderr(), "cut at sockets, {}: {tried:?}", op.name());
    // It takes a connection, receives a question, and sends an answer.
    assert!(
        ["accept4", "recvfrom", "sendto"]
            .iter()
            .all(|kind| tried.iter().any(|(name, points)| name == kind && *points > 0)),
        "{tried:?}"
    );
}

/// Fails the test unless the journal is written and synced before any other file is changed, and before
/// the answer leaves: what is not synced then can be lost with the power, and is in the journal.
fn assert_journaled(calls: &[Call]) {
    let journal = |call: &Call| call.paths.iter().all(|path| path.ends_with("/journal"));
    let synced = calls.iter().position(|call| call.name == "fdatasync" && journal(call));
    let synced = synced.unwrap_or_else(|| panic!("no journal is synced: {calls:#?}"));
    let changes = |call: &&Call| call.name.contains("write") || call.name.contains("rename");
    let before: Vec<&Call> = calls[..synced].iter().filter(changes).collect();
    assert!(before.iter().all(|call| journal(call)), "changed before the sync: {before:#?}");
    assert!(!before.is_empty(), "nothing is written before the sync: {calls:#?}");
    let after = calls[synced..].iter().filter(changes).filter(|call| !journal(call));
    assert!(after.count() > 0, "no record follows: {calls:#?}");
}

struct Scene {
    vendor: Vendor,
    base: PathBuf,
    code: String,
    machine: Machine,
    /// What is asked in every try.
    request: Request,
    figures: [i64; 3],
    entries: usize,
}

impl Scene {
    fn new(op: Op, figures: [i64; 3]) -> Scene {
        let mut vendor = Vendor::init();
        let code = sell(&vendor, &[]);
        let mut machine = Machine::new(&code, vendor.trust());
        let mut entries = 2;
        if op != Op::Activate {
            machine.ask(vendor.serve(), Op::Activate);
            machine.consumed = 40;
            vendor.stop();
            entries = 3;
        }
        let (base, request) = (vendor.scratch("base"), machine.request(op));
        copy(&vendor.dir(), &base);
        Scene { vendor, base, code, machine, request, figures, entries }
    }

    /// Answers once under strace without harm; the calls that touched the folder before the answer left.
    fn record(&mut self) -> Vec<Call> {
        let trace = self.vendor.scratch("recorded.strace");
        let kinds = [&CHANGING[..], &SENDING[..]].concat().join(",");
        let command = self.strace(&trace, &["-e".into(), format!("trace={kinds}")]);
        let address = self.vendor.serve_as(command).unwrap();
        let at_start = std::fs::metadata(&trace).unwrap().len();
        let answer = self.machine.send(address, &self.request).unwrap();
        self.vendor.stop();
        let whole = std::fs::read(&trace).unwrap();
        let during = String::from_utf8_lossy(&whole[usize::try_from(at_start).unwrap()..]);
        let left = during.lines().position(|line| line.contains("\"HTTP/1.1 200"));
        let left = left.unwrap_or_else(|| panic!("no answer in the trace:\n{during}"));
        let before: Vec<&str> = during.lines().take(left).collect();
        let calls = calls(&before.join("\n"), &self.vendor.dir());
        assert_journaled(&calls);
        self.settled(Some(&answer));
        calls
    }

    /// Kills at the first, second, third … call of one kind until none is left; how many there were.
    fn cut_at_each(&mut self, kind: &str, paths: &BTreeSet<String>) -> usize {
        let mut during_the_answer = 0;
        for number in 1..=MOST_CALLS {
            copy(&self.base, &self.vendor.dir());
            let mut started = self.serve_cut(kind, number, paths);
            if started.is_err() {
                self.settled(None); // the start itself was cut, which must do no harm
                copy(&self.base, &self.vendor.dir());
                self.vendor.ok(&["list"]); // which writes what a start may write to a copied folder
                started = self.serve_cut(kind, number, paths);
            }
            let Ok(address) = started else { continue };
            let answer = self.machine.send(address, &self.request).ok();
            let status = match &answer {
                Some(_) => self.vendor.stop(),
                None => self.vendor.ended(),
            };
            let killed = status.signal() == Some(9);
            assert!(killed || answer.is_some(), "{kind} {number}: neither killed nor answered");
            self.settled(answer.as_ref());
            if !killed {
                return during_the_answer;
            }
            during_the_answer += 1;
        }
        panic!("{kind} is called more than {MOST_CALLS} times");
    }

    /// Starts an authority that is killed at one call; fails if that is before it serves.
    fn serve_cut(
        &mut self,
        kind: &str,
        number: usize,
        paths: &BTreeSet<String>,
    ) -> Result<SocketAddr, ExitStatus> {
        let trace = self.vendor.scratch("killed.strace");
        let mut options = vec!["-e".into(), format!("trace={kind}")];
        options.extend(["-e".into(), format!("inject={kind}:signal=KILL:when={number}")]);
        options.extend(paths.iter().flat_map(|path| ["-P".into(), path.clone()]));
        let command = self.strace(&trace, &options);
        self.vendor.serve_as(command)
    }

    /// Kills at each call on sockets, with strace at the running authority: its start is not cut.
    /// Each connection has a thread of its own, whose calls strace counts from 1.
    fn cut_at_each_socket_call(&mut self, kind: &str) -> usize {
        for number in 1..=MOST_CALLS {
            copy(&self.base, &self.vendor.dir());
            let mut command = traceable(program());
            command.args(["serve", "--listen", "127.0.0.1:0", "--dir"]).arg(self.vendor.dir());
            let address = self.vendor.serve_as(command).unwrap();
            let inject = format!("inject={kind}:signal=KILL:when={number}");
            let mut strace = attach(self.vendor.pid(), &inject);
            let answer = self.machine.send(address, &self.request).ok();
            // It may also have died at what it does after an answer.
            self.vendor.signal(Signal::TERM);
            let killed = self.vendor.ended().signal() == Some(9);
            until(SOON, "strace has ended", || strace.try_wait().unwrap());
            assert!(killed || answer.is_some(), "{kind} {number}: neither killed nor answered");
            self.settled(answer.as_ref());
            if !killed {
                return number - 1;
            }
        }
        panic!("{kind} is called more than {MOST_CALLS} times");
    }

    /// Lets one call fail; whether the appliance was told to come again.
    fn refused(&mut self, kind: &str, inject: &str, paths: &BTreeSet<String>) -> bool {
        copy(&self.base, &self.vendor.dir());
        // A copied folder is brought up to date by whoever reads it first, which is not what is tried here.
        self.vendor.ok(&["list"]);
        let trace = self.vendor.scratch("refused.strace");
        let mut options = vec!["-e".into(), format!("trace={kind}")];
        options.extend(["-e".into(), format!("inject={inject}")]);
        options.extend(paths.iter().flat_map(|path| ["-P".into(), path.clone()]));
        let command = self.strace(&trace, &options);
        let address = self.vendor.serve_as(command).unwrap();
        let first = self.machine.send(address, &self.request).unwrap();
        let refused = first.denial == Some(Denial::Unavailable);
        assert!(refused || first.kind == Kind::Lease, "{inject}: {first:?}");
        if refused {
            self.vendor.logged(" error cannot ");
        }
        self.vendor.stop();
        self.settled((!refused).then_some(&first));
        refused
    }

    /// The authority starts again, the appliance asks again, and all is as if nothing had happened.
    fn settled(&mut self, first: Option<&Answer>) {
        let address = self.vendor.serve();
        let answer = self.machine.send(address, &self.request).unwrap();
        let again = self.machine.send(address, &self.request).unwrap();
        self.vendor.stop();
        assert!(matches!(answer.kind, Kind::Lease | Kind::Returned), "{answer:?}");
        assert_eq!((&answer.token, answer.returned), (&again.token, again.returned));
        if let Some(first) = first {
            assert_eq!((&first.token, first.returned), (&answer.token, answer.returned));
        }
        let shown = self.vendor.show(&self.code);
        let figures = ["secs_left", "secs_held", "secs_used"];
        assert_eq!(figures.map(|name| shown[name].as_i64().unwrap()), self.figures);
        assert_eq!(shown["audit"], format!("{} entries, intact", self.entries));
        assert_eq!(shown["activated"], i64::from(self.request.op != Op::Return));
    }

    /// `serve` under strace, which is made its grandchild so that it stays this test's child.
    fn strace(&self, trace: &Path, options: &[String]) -> Command {
        let _ = std::fs::remove_file(trace);
        let mut command = traceable("strace");
        command.args(["-D", "-f", "-y", "-qq", "-o"]).arg(trace).args(options).arg(program());
        command.args(["serve", "--listen", "127.0.0.1:0", "--dir"]).arg(self.vendor.dir());
        command
    }
}
