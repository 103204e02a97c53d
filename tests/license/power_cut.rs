//! The power fails at any point of a license call: afterwards the appliance has the license or not, the
//! authority knows of exactly one seat, and not a second is lost or made.
//!
//! strace kills the daemon at the N-th of each system call that touches a file of the state folder, for
//! N = 1, 2, 3 … until the call comes to its end unharmed. Each try begins with the same appliance and
//! the same authority.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::appliance::{Appliance, program};
use crate::support::command::{Output, run};
use crate::support::wait::{SOON, until};
use crate::trace::{CHANGING, SENDING, assert_durable, calls};
use crate::usage::Engine as _;
use crate::vendor::{Licensed, Vendor};

/// More calls of one kind than any change should need; a search that goes on longer is a fault of the test.
const MOST_CALLS: usize = 100;

const OFFLINE: &str = "/v1/management/license/offlineactivation";
const MODE: &str = "/v1/management/license/offlinemode";

/// A license call, what comes before it, and what must be true after it whatever happened.
struct Play {
    prepare: fn(&Scene),
    change: fn(&Scene) -> Output,
    /// Runs after the restart; may try the call again as a person would.
    after: fn(&Scene),
}

#[test]
fn a_power_cut_during_an_activation_takes_one_seat_and_loses_nothing() {
    survives(
        "activate",
        &Play {
            prepare: |_| {},
            change: |scene| scene.appliance.apply(&scene.code),
            after: |scene| {
                scene.appliance.apply(&scene.code).ok();
                scene.accounts(1, 3_600, 0);
            },
        },
    );
}

#[test]
fn a_power_cut_during_a_sync_loses_nothing() {
    survives(
        "sync",
        &Play {
            prepare: |scene| {
                scene.appliance.apply(&scene.code).ok();
                scene.appliance.uses(1_000);
            },
            change: |scene| scene.appliance.apply(&scene.code),
            after: |scene| {
                scene.appliance.apply(&scene.code).ok();
                scene.accounts(1, 3_600, 1_000);
            },
        },
    );
}

#[test]
fn a_power_cut_during_a_return_credits_the_seconds_once() {
    survives(
        "return",
        &Play {
            prepare: |scene| {
                scene.appliance.apply(&scene.code).ok();
                scene.appliance.uses(100);
            },
            change: |scene| scene.appliance.remove(),
            after: |scene| {
                until(SOON, "the license is given back", || {
                    let status = scene.appliance.license()["status"].as_str()?.to_owned();
                    if status.starts_with("3 ") {
                        scene.appliance.remove();
                    }
                    status.starts_with("-113 ").then_some(())
                });
                scene.accounts(0, 0, 100);
            },
        },
    );
}

#[test]
fn a_power_cut_on_the_way_offline_loses_nothing() {
    let go = |scene: &Scene| scene.appliance.call("POST", MODE, r#"{"offline": true}"#);
    survives(
        "offlinemode",
        &Play {
            prepare: |scene| drop(scene.appliance.apply(&scene.code).ok()),
            change: go,
            after: |scene| {
                let back = scene.appliance.call("POST", MODE, r#"{"offline": false}"#).ok();
                assert_eq!(back.json()["licensed"], true);
                let known = scene.vendor.show(&scene.code);
                let sum = ["secs_left", "secs_held", "secs_used"]
                    .map(|part| known[part].as_i64().unwrap());
                assert_eq!(sum.iter().sum::<i64>(), 1_800_000, "{known}");
                assert_eq!(
                    (&known["takeovers"], &known["secs_used"]),
                    (&json!(0), &json!(0)),
                    "{known}"
                );
                assert_eq!(known["appliances"][0]["epoch"], 1, "{known}");
            },
        },
    );
}

#[test]
fn a_power_cut_while_a_certificate_is_applied_leaves_it_applied_or_not() {
    fn put(scene: &Scene) -> Output {
        let certificate = std::fs::read_to_string(scene.mail()).unwrap();
        let body = json!({"license": scene.code, "certificate": certificate});
        scene.appliance.call("PUT", OFFLINE, &body.to_string())
    }
    survives(
        "PUT",
        &Play {
            prepare: |scene| {
                let asked = json!({ "license": scene.code }).to_string();
                let request = scene.appliance.call("POST", OFFLINE, &asked).ok().json();
                let signed = scene.vendor.sign(request["certificate"].as_str().unwrap());
                std::fs::write(scene.mail(), signed).unwrap();
            },
            change: put,
            after: |scene| {
                let granted = put(scene).ok().json()["transcription_secs_allowed"].clone();
                assert_eq!(granted, scene.vendor.show(&scene.code)["secs_held"]);
                scene.appliance.uses(7);
                let left = put(scene).ok().json()["transcription_secs_allowed"].clone();
                assert_eq!(left.as_u64(), granted.as_u64().map(|granted| granted - 7));
            },
        },
    );
}

struct Scene {
    vendor: Vendor,
    appliance: Appliance,
    code: String,
}

/// What the call did in the state folder before its answer left.
struct Recorded {
    kinds: BTreeSet<String>,
    paths: BTreeSet<String>,
}

fn survives(name: &str, play: &Play) {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode", "--offline-secs", "180000"]);
    let mut appliance = Appliance::prepare(&vendor.settings(vendor.port()));
    appliance.launch();
    let mut scene = Scene { vendor, appliance, code };
    (play.prepare)(&scene);
    scene.appliance.stop();
    scene.vendor.stop();
    copy(&scene.appliance.state(""), &scene.base("state"));
    copy(&scene.vendor.dir(), &scene.base("authority"));

    let recorded = scene.record(play);
    let mut points = 0;
    for kind in &recorded.kinds {
        points += scene.cut_at_each(kind, &recorded, play);
    }
    let _ = writeln!(std::io::stderr(), "power cut, {name}: {points} points, {:?}", recorded.kinds);
    assert!(points >= 4, "{name}: only {points} points were tried");
}

impl Scene {
    fn base(&self, name: &str) -> PathBuf {
        self.appliance.folder().join(format!("base-{name}"))
    }

    fn mail(&self) -> PathBuf {
        self.appliance.folder().join("mail.txt")
    }

    /// What the authority's accounts must say in the end.
    #[track_caller]
    fn accounts(&self, seats: u64, held: u64, used: u64) {
        let known = self.vendor.show(&self.code);
        let told = ["activated", "secs_held", "secs_used", "secs_left", "takeovers"]
            .map(|name| known[name].clone());
        let left = 1_800_000 - held - used;
        assert_eq!(told, [seats, held, used, left, 0].map(Value::from), "{known}");
    }

    /// The same appliance and authority as before every other try.
    fn rewind(&mut self) {
        self.vendor.stop();
        copy(&self.base("state"), &self.appliance.state(""));
        copy(&self.base("authority"), &self.vendor.dir());
        self.vendor.serve();
    }

    fn record(&mut self, play: &Play) -> Recorded {
        self.rewind();
        let trace = self.appliance.folder().join("recorded.strace");
        let kinds = [&CHANGING[..], &SENDING[..]].concat().join(",");
        let mut command = self.strace(&trace, &["-e".into(), format!("trace={kinds}")]);
        self.appliance.launch_as(&mut command).unwrap();
        // The sync at the start writes the same files; it shall be over.
        until(SOON, "the start is over", || self.is_settled());
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

    /// An online license writes its question and its answer at the start; any other writes nothing.
    fn is_settled(&self) -> Option<()> {
        let Some((before, true)) = written(&self.base("state")) else { return Some(()) };
        written(&self.appliance.state("")).filter(|(now, _)| *now >= before + 2).map(drop)
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
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-y", "-qq", "-o"]).arg(trace).args(options);
        command.arg(program()).arg("serve").arg("--config").arg(self.appliance.config());
        command
    }
}

/// How often the license file was written, and whether it is of a license that is kept up to date.
fn written(folder: &Path) -> Option<(u64, bool)> {
    let text = std::fs::read_to_string(folder.join("license.json")).ok()?;
    let file: Value = serde_json::from_str(&text).ok()?;
    let online = file["body"].as_str()?.contains(r#""phase":"online""#);
    Some((file["gen"].as_u64()?, online))
}

/// Makes `to` a copy of the folder `from`, owners and modes included.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let copied = run(Command::new("cp").args(["-a", "-T"]).arg(from).arg(to));
    assert_eq!(copied.code, 0, "{copied:?}");
}
