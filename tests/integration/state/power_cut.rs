//! The power fails at any point of any security change: the appliance starts with the old setting or
//! the new one, whole.
//!
//! strace kills the daemon at the N-th of each system call that touches a file of the state folder,
//! for N = 1, 2, 3 … until the change comes to its end unharmed. A killed process keeps what the
//! kernel holds unwritten and a machine without power doesn't, so a recorded run is also read for the
//! order of writing, syncing and renaming.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::state::security_settings::{PASSWORDS, Standing, observe};
use crate::support::appliance::{Appliance, program};
use crate::support::certificates::{Authority, Key, form, text};
use crate::support::command::Output;
use crate::support::folder::copy;
use crate::support::prerequisites::{can_trace, traceable};
use crate::support::settings::Settings;
use crate::support::strace::{CHANGING, Call, SENDING, assert_durable, call, calls};
use crate::support::wait::SOON;

/// More calls of one kind than any change should need; a search that goes on longer is a fault of the test.
const MOST_CALLS: usize = 200;

#[test]
fn a_power_cut_during_an_upload_leaves_the_old_certificate_or_the_new_one() {
    survives("upload", REPLACING, |a| upload(a, "old").ok(), |a| upload(a, "new"));
}

#[test]
fn a_power_cut_while_a_certificate_is_requested_leaves_a_request_or_none() {
    survives("request", REPLACING, |a| read_ping(a).ok(), request);
}

#[test]
fn a_power_cut_while_a_requested_certificate_is_applied_leaves_the_request_or_the_certificate() {
    survives(
        "requested certificate",
        REPLACING,
        |a| {
            let pending = request(a).ok().json();
            Authority::new(a.folder()).sign("requested", pending["request"].as_str().unwrap());
            read_ping(a).ok()
        },
        |a| {
            let cert = format!("certfile=@{}", text(&a.folder().join("requested.crt")));
            a.curl(&["-F", &cert, &a.https("/v1/security/sslcertificate")])
        },
    );
}

#[test]
fn a_power_cut_while_http_is_disabled_leaves_it_on_or_off() {
    survives("insecureports", REPLACING, |a| read_ping(a).ok(), |a| plain_http_off(a, None));
}

#[test]
fn a_power_cut_while_a_password_is_set_leaves_none_or_the_new_one() {
    survives(
        "adminpassword, first",
        REPLACING,
        |a| read_ping(a).ok(),
        |a| set_password(a, None, PASSWORDS[0]),
    );
}

#[test]
fn a_power_cut_while_a_job_token_is_set_leaves_none_or_the_new_one() {
    survives("jobtoken", REPLACING, |a| read_ping(a).ok(), set_job_token);
}

#[test]
#[ignore = "slow: takes 30 s"]
fn a_power_cut_while_the_job_token_is_removed_leaves_it_set_or_not() {
    survives(
        "jobtoken, delete",
        REMOVING,
        |a| set_job_token(a).ok(),
        |a| a.curl(&["-X", "DELETE", &a.https("/v1/security/jobtoken")]),
    );
}

#[test]
#[ignore = "slow: takes 30 s"]
fn a_power_cut_while_the_password_is_changed_leaves_the_old_one_or_the_new_one() {
    survives(
        "adminpassword, change",
        REPLACING,
        |a| set_password(a, None, PASSWORDS[0]).ok(),
        |a| set_password(a, Some(PASSWORDS[0]), PASSWORDS[1]),
    );
}

#[test]
#[ignore = "slow: takes 30 s"]
fn a_power_cut_while_the_password_is_deleted_leaves_it_set_or_not() {
    survives(
        "adminpassword, delete",
        REMOVING,
        |a| set_password(a, None, PASSWORDS[0]).ok(),
        |a| delete(a, PASSWORDS[0], "/v1/security/adminpassword"),
    );
}

#[test]
#[ignore = "slow: takes 30 s"]
fn a_power_cut_during_a_reset_leaves_all_settings_or_none_of_them() {
    survives(
        "reset",
        REPLACING,
        |a| {
            upload(a, "old").ok();
            set_job_token(a).ok();
            set_password(a, None, PASSWORDS[0]).ok();
            plain_http_off(a, Some(PASSWORDS[0])).ok()
        },
        |a| delete(a, PASSWORDS[0], "/v1/security/reset"),
    );
}

/// Replacing one file takes at least writing, syncing and renaming it, and syncing its folder; fewer
/// points than that mean that strace looked elsewhere.
const REPLACING: usize = 4;

/// Removing one file takes at least unlinking it, and syncing its folder.
const REMOVING: usize = 2;

/// Tries every point of `change`, at least so many, on a state made by `prepare`.
fn survives(
    name: &str,
    least: usize,
    prepare: fn(&Appliance) -> Output,
    change: fn(&Appliance) -> Output,
) {
    if !can_trace() {
        return;
    }
    let mut scene = Scene::new(prepare, change);
    let recorded = scene.record();
    let mut tried = BTreeMap::new();
    for call in recorded.kinds() {
        tried.insert(call.clone(), scene.cut_at_each(&call, &recorded));
    }
    let total: usize = tried.values().sum();
    let _ = writeln!(std::io::stderr(), "power cut, {name}: {total} points, {tried:?}");
    for (call, count) in recorded.counts() {
        let reached = tried[&call];
        // Fewer: temporary names differ from run to run, so that strace can't know them beforehand,
        // or the start of the daemon makes the same calls on the same files and is cut instead.
        assert!(reached >= count, "{name}: {reached} of {count} {call}: {:#?}", recorded.calls);
    }
    assert!(total >= least, "{name}: only {total} points were tried: {tried:?}");
}

/// An appliance whose state folder is put back before each try.
struct Scene {
    appliance: Appliance,
    change: fn(&Appliance) -> Output,
    base: PathBuf,
    old: Standing,
    new: Option<Standing>,
}

/// What an undisturbed change did in the state folder before its answer left.
struct Recorded {
    calls: Vec<Call>,
    /// Every path it touched, for strace to look out for.
    paths: BTreeSet<String>,
}

impl Recorded {
    /// Each kind of call there was.
    fn kinds(&self) -> BTreeSet<String> {
        self.calls.iter().map(|call| call.name.clone()).collect()
    }

    /// How often each kind of call was made, but for opening, which the start of the daemon does too.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.calls.iter().filter(|call| !call.name.starts_with("open")) {
            *counts.entry(call.name.clone()).or_default() += 1;
        }
        counts
    }
}

impl Scene {
    fn new(prepare: fn(&Appliance) -> Output, change: fn(&Appliance) -> Output) -> Scene {
        let mut appliance = Appliance::prepare(&Settings::v1());
        let authority = Authority::new(appliance.folder());
        for name in ["old", "new"] {
            authority.issue(name, Key::Ec("P-256"));
        }
        appliance.launch();
        prepare(&appliance);
        let old = observe(&appliance);
        appliance.stop();
        let base = appliance.folder().join("base");
        copy(&appliance.state(""), &base);
        Scene { appliance, change, base, old, new: None }
    }

    /// Runs the change once under strace without harm, and learns what it does and what comes out.
    fn record(&mut self) -> Recorded {
        let trace = self.appliance.folder().join("recorded.strace");
        let kinds = [&CHANGING[..], &SENDING[..]].concat().join(",");
        let command = self.strace(&trace, &["-e".into(), format!("trace={kinds}")]);
        self.launch(command)
            .unwrap_or_else(|status| panic!("under strace the start ended with {status}"));
        let at_start = std::fs::metadata(&trace).unwrap().len();
        (self.change)(&self.appliance).ok();
        let whole = std::fs::read(&trace).unwrap();
        let during = String::from_utf8_lossy(&whole[usize::try_from(at_start).unwrap()..]);

        // The answer leaves encrypted, right after its line in the access log; what comes after that is too late.
        let answer = during
            .lines()
            .position(|line| line.contains("Z access peer"))
            .unwrap_or_else(|| panic!("no answer in the trace:\n{during}"));
        let before: Vec<&str> = during.lines().take(answer).collect();
        let folder = self.appliance.folder().join("state");
        let calls = calls(&before.join("\n"), &folder);
        assert_durable(&calls);
        self.appliance.stop();

        self.appliance.launch();
        let new = observe(&self.appliance);
        assert_ne!(self.old, new, "the change changes nothing");
        self.appliance.stop();
        self.new = Some(new);
        let paths = calls.iter().flat_map(|call| call.paths.clone()).collect();
        Recorded { calls, paths }
    }

    /// Kills at the first, second, third … call of one kind until none is left; how many there were.
    fn cut_at_each(&mut self, kind: &str, recorded: &Recorded) -> usize {
        let mut during_the_change = 0;
        for number in 1..=MOST_CALLS {
            let trace = self.appliance.folder().join("killed.strace");
            let mut options = vec!["-e".into(), format!("trace={kind}")];
            options.extend(["-e".into(), format!("inject={kind}:signal=KILL:when={number}")]);
            options.extend(recorded.paths.iter().flat_map(|path| ["-P".into(), path.clone()]));
            let command = self.strace(&trace, &options);
            let started = self.launch(command).is_ok();
            let answered = started && (self.change)(&self.appliance).status == 200;
            if !self.killed(started && answered) {
                assert!(answered, "{kind} {number}: neither killed nor answered");
                return during_the_change;
            }
            // Opening is also done by the start itself; those cuts count for nothing but must do no harm.
            if started {
                during_the_change += 1;
                let last = std::fs::read_to_string(&trace).unwrap();
                let at = last.lines().rev().find_map(|line| call(line, self.appliance.folder()));
                assert!(at.is_some_and(|call| call.name == kind), "killed elsewhere:\n{last}");
            }
            self.whole_after_the_cut(kind, number, answered);
        }
        panic!("{kind} is called more than {MOST_CALLS} times");
    }

    /// Whether the power cut came; an answered change may still be cut while it tidies up, until the stop.
    fn killed(&mut self, answered: bool) -> bool {
        let status = if answered { self.appliance.stop() } else { self.appliance.ended(SOON) };
        status.signal() == Some(9)
    }

    fn whole_after_the_cut(&mut self, kind: &str, number: usize, answered: bool) {
        self.appliance.launch();
        let standing = observe(&self.appliance);
        self.appliance.stop();
        let new = self.new.as_ref().unwrap();
        assert!(
            standing == *new || (standing == self.old && !answered),
            "cut at {kind} {number}, answered: {answered}; found {standing:#?}, neither {:#?} nor {new:#?}",
            self.old
        );
    }

    /// Puts the state back and starts the daemon by `command`.
    fn launch(&mut self, mut command: Command) -> Result<(), std::process::ExitStatus> {
        copy(&self.base, &self.appliance.state(""));
        self.appliance.launch_as(&mut command)
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

fn request(appliance: &Appliance) -> Output {
    let url = appliance.https("/v1/security/certificaterequest");
    appliance.post(&url, r#"{"names": ["localhost"], "key_type": "ecdsa-p256"}"#)
}

fn read_ping(appliance: &Appliance) -> Output {
    appliance.read(&appliance.https("/v1/management/ping"))
}

fn upload(appliance: &Appliance, name: &str) -> Output {
    let file = |suffix: &str| appliance.folder().join(format!("{name}.{suffix}"));
    let [a, b, c, d] = form(&file("key"), &file("crt"));
    appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")])
}

fn plain_http_off(appliance: &Appliance, password: Option<&str>) -> Output {
    let url = appliance.https("/v1/security/insecureports");
    post(appliance, password, &url, r#"{"enable_insecure_ports": false}"#)
}

fn set_password(appliance: &Appliance, old: Option<&str>, new: &str) -> Output {
    let url = appliance.https("/v1/security/adminpassword");
    post(appliance, old, &url, &format!(r#"{{"password": "{new}"}}"#))
}

fn set_job_token(appliance: &Appliance) -> Output {
    appliance.post(&appliance.https("/v1/security/jobtoken"), r#"{"user_token": "a-token"}"#)
}

fn post(appliance: &Appliance, password: Option<&str>, url: &str, body: &str) -> Output {
    match password {
        Some(password) => appliance.post_as(password, url, body),
        None => appliance.post(url, body),
    }
}

fn delete(appliance: &Appliance, password: &str, path: &str) -> Output {
    let credentials = format!("admin:{password}");
    appliance.curl(&["-u", &credentials, "-X", "DELETE", &appliance.https(path)])
}
