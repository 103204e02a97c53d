//! Cuts at the system calls that touch a file of the state folder.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use super::scene::Scene;
use super::{MOST_CALLS, Play};
use crate::support::appliance::program;
use crate::support::prerequisites::{can_trace, traceable};
use crate::support::strace::{CHANGING, SENDING, assert_durable, calls};
use crate::support::wait::SOON;

/// What the call did in the state folder before its answer left.
struct Recorded {
    kinds: BTreeSet<String>,
    paths: BTreeSet<String>,
}

pub(super) fn survives(name: &str, play: &Play) {
    if !can_trace() {
        return;
    }
    let mut scene = Scene::new(play);
    let recorded = scene.record(play);
    let mut points = 0;
    for kind in &recorded.kinds {
        points += scene.cut_at_each(kind, &recorded, play);
    }
    let _ = writeln!(std::io::stderr(), "power cut, {name}: {points} points, {:?}", recorded.kinds);
    assert!(points >= 4, "{name}: only {points} points were tried");
}

impl Scene {
    fn record(&mut self, play: &Play) -> Recorded {
        self.rewind();
        let trace = self.appliance.folder().join("recorded.strace");
        let kinds = [&CHANGING[..], &SENDING[..]].concat().join(",");
        let mut command = self.strace(&trace, &["-e".into(), format!("trace={kinds}")]);
        self.appliance.launch_as(&mut command).unwrap();
        // The sync at the start writes the same files; it shall be over.
        self.settle();
        let at_start = std::fs::metadata(&trace).unwrap().len();
        (play.change)(self).ok();
        let whole = std::fs::read(&trace).unwrap();
        let during = String::from_utf8_lossy(&whole[usize::try_from(at_start).unwrap()..]);
        let answer = during
            .lines()
            .position(|line| line.contains("\"HTTP/1.1 200"))
            .unwrap_or_else(|| panic!("no answer in the trace:\n{during}"));
        let before: Vec<&str> = during.lines().take(answer).collect();
        let calls = calls(&before.join("\n"), &self.appliance.folder().join("state"));
        assert_durable(&calls);
        self.appliance.stop();
        Recorded {
            kinds: calls.iter().map(|call| call.name.clone()).collect(),
            paths: calls.iter().flat_map(|call| call.paths.clone()).collect(),
        }
    }

    fn cut_at_each(&mut self, kind: &str, recorded: &Recorded, play: &Play) -> usize {
        for number in 1..=MOST_CALLS {
            self.rewind();
            let trace = self.appliance.folder().join("killed.strace");
            let mut options = vec!["-e".into(), format!("trace={kind}")];
            options.extend(["-e".into(), format!("inject={kind}:signal=KILL:when={number}")]);
            options.extend(recorded.paths.iter().flat_map(|path| ["-P".into(), path.clone()]));
            let mut command = self.strace(&trace, &options);
            let started = self.appliance.launch_as(&mut command).is_ok();
            let answered = started && (play.change)(self).status == 200;
            let killed = if answered {
                self.appliance.stop().signal() == Some(9)
            } else {
                self.appliance.ended(SOON).signal() == Some(9)
            };
            if !killed {
                assert!(answered, "{kind} {number}: neither killed nor answered");
                return number - 1;
            }
            self.appliance.launch();
            (play.after)(self);
            self.appliance.stop();
        }
        panic!("{kind} is called more than {MOST_CALLS} times");
    }

    /// The daemon under strace, which is made its grandchild so that the daemon stays this test's child.
    fn strace(&self, trace: &Path, options: &[String]) -> Command {
        let _ = std::fs::remove_file(trace);
        let mut command = traceable("strace");
        command.args(["-D", "-f", "-y", "-qq", "-o"]).arg(trace).args(options);
        command.arg(program()).arg("serve").arg("--config").arg(self.appliance.config());
        command
    }
}
