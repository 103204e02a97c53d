//! Backup, restore, copy and the upgrade of an old folder, as a vendor would type them.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use applianced::protocol::message::{Kind, Op};
use serde_json::json;

use crate::authority::fixture::{sell, serving};
use crate::authority::machine::Machine;
use crate::support::folder::copy;
use crate::support::prerequisites::can_trace;
use crate::support::vendor::{Vendor, program};

/// The figures that a vendor looks at.
fn figures(dir: &str) -> String {
    let run = |words: &[&str]| {
        let output = Command::new(program()).args(words).args(["--dir", dir]).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["verify"]) + &run(&["list", "--json"]) + &run(&["report", "--json"])
}

fn run(words: &[&str]) -> (i32, String) {
    let output = Command::new(program()).args(words).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn a_backup_made_while_it_serves_is_restored_on_another_machine() {
    let (vendor, code, mut machine) = serving(&["--activations", "3", "--offline-mode"]);
    machine.ask(vendor.address(), Op::Activate);
    machine.consumed = 7;
    machine.ask(vendor.address(), Op::Sync);
    let file = vendor.scratch("nightly.backup");
    let file = file.to_str().unwrap();
    let said = vendor.ok(&["backup", file]);
    assert!(said.contains("1 licenses and the keys") && said.contains("root key"), "{said}");
    let again = vendor.run(&["backup", file]);
    assert!(again.code == 1 && again.err.contains("exists"), "{again:?}");
    // Another user's file in the way is not written to.
    let other = vendor.scratch("other.backup");
    let planted = vendor.scratch("other.backup.tmp");
    std::fs::write(&planted, "planted").unwrap();
    let kept = std::fs::File::open(&planted).unwrap();
    vendor.ok(&["backup", other.to_str().unwrap()]);
    assert_eq!(std::io::read_to_string(kept).unwrap(), "planted");
    assert!(!planted.exists());

    let mut restored = Vendor::init();
    std::fs::remove_dir_all(restored.dir()).unwrap();
    let dir = restored.dir();
    let dir = dir.to_str().unwrap();
    let (exit, said) = run(&["restore", file, "--dir", dir]);
    assert!(exit == 0 && said.contains("1 licenses were restored"), "{said}");
    assert_eq!(figures(dir), figures(vendor.dir().to_str().unwrap()));
    let (exit, said) = run(&["restore", file, "--dir", dir]);
    assert!(exit == 1 && said.contains("holds a license authority already"), "{said}");

    machine.consumed = 9;
    assert_eq!(machine.ask(restored.serve(), Op::Sync).kind, Kind::Lease);
    assert_eq!(restored.show(&code)["secs_used"], 9);
}

#[test]
fn what_is_not_a_whole_backup_is_refused_and_restores_nothing() {
    let vendor = Vendor::init();
    sell(&vendor, &[]);
    let path = vendor.scratch("backup");
    let file = path.to_str().unwrap();
    vendor.ok(&["backup", file]);
    let whole = std::fs::read_to_string(&path).unwrap();
    let dir = vendor.scratch("new");
    let changed = whole.replacen("\\\"left\\\":1000", "\\\"left\\\":9000", 1);
    assert_ne!(changed, whole);
    for (text, said) in [
        (&whole[..whole.len() / 2], "cut off or changed"),
        (changed.as_str(), "cut off or changed"),
        ("", "not a whole backup"),
        ("hello\nyou\n", "is no backup of a license authority"),
    ] {
        std::fs::write(&path, text).unwrap();
        let (exit, out) = run(&["restore", file, "--dir", dir.to_str().unwrap()]);
        assert!(exit == 1 && out.contains(said), "{out}");
        assert!(!dir.join("records").exists(), "{said}");
    }
}

#[test]
fn a_copy_goes_on_where_it_was_and_passes_over_what_is_there() {
    let (vendor, _code, mut machine) = serving(&["--activations", "2"]);
    machine.ask(vendor.address(), Op::Activate);
    let from = format!("dir:{}", vendor.dir().display());
    let new = vendor.scratch("new");
    let to = format!("dir:{}", new.display());
    std::fs::create_dir(&new).unwrap();
    let copy = || run(&["copy", "--from", &from, "--to", &to]);
    assert_eq!(copy(), (0, "1 licenses were copied; everything there is whole\n".to_owned()));
    let other = sell(&vendor, &[]);
    let (exit, said) = copy();
    assert!(exit == 0 && said.contains("1 licenses were copied, 1 were there already"), "{said}");
    machine.consumed = 5;
    machine.ask(vendor.address(), Op::Sync);
    let (exit, said) = copy();
    assert!(exit == 0 && said.contains("1 licenses were copied, 1 were there already"), "{said}");
    let new = new.to_str().unwrap();
    assert_eq!(figures(new), figures(vendor.dir().to_str().unwrap()));
    assert!(run(&["show", &other, "--dir", new]).1.contains("1 entries, intact"));

    let (exit, said) = run(&["copy", "--from", &to, "--to", &from]);
    assert!(exit == 0 && said.contains("0 licenses were copied, 2 were there"), "{said}");
    machine.consumed = 6;
    machine.ask(vendor.address(), Op::Sync);
    let (exit, said) = run(&["copy", "--from", &to, "--to", &from]);
    assert!(exit == 1 && said.contains("newer in the target"), "{said}");

    let stranger = Vendor::init();
    let strange = format!("dir:{}", stranger.dir().display());
    let (exit, said) = run(&["copy", "--from", &strange, "--to", &to]);
    assert!(exit == 1 && said.contains("another license authority"), "{said}");
    let (exit, said) = run(&["copy", "--from", "here", "--to", &to]);
    assert!(exit == 2 && said.contains("--from is dir:FOLDER"), "{said}");
}

/// A folder as release 0.1 left it: an appliance with 140 syncs, one that returned, a suspended license.
fn old_folder(to: &Path) {
    let kept =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/authority/release-0.1");
    copy(&kept, to);
    let output = Command::new("chmod").args(["-R", "go-rwx"]).arg(to).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_folder_of_release_0_1_is_brought_over_and_goes_on() {
    let mut vendor = Vendor::init();
    old_folder(&vendor.dir());
    for words in [&["list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let output = vendor.run(words);
        assert!(output.code == 1 && output.err.contains("license-authority upgrade"), "{output:?}");
    }
    let said = vendor.ok(&["upgrade"]);
    assert_eq!(said, "2 licenses were brought over; everything there is whole");
    let shown = vendor.show("494950552435298875");
    for (name, value) in [
        ("activated", json!(1)),
        ("activations", json!(3)),
        ("secs_left", json!(916)),
        ("secs_held", json!(60)),
        ("secs_used", json!(24)),
        ("secs_charged", json!(11)),
        ("offline_mode", json!(true)),
        ("audit", json!("145 entries, intact")),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    assert_eq!(shown["appliances"][0]["answers"], 141);
    assert_eq!(vendor.show("494908526473406316")["status"], "suspended");
    assert!(vendor.dir().join("licenses.old").exists() && !vendor.dir().join("keys.json").exists());
    let again = vendor.run(&["upgrade"]);
    assert!(again.code == 1 && again.err.contains("nothing of an earlier release"), "{again:?}");
    vendor.ok(&["rotate", "issuer"]);
    let mut machine = Machine::new("494950552435298875", vendor.trust());
    assert_eq!(machine.ask(vendor.serve(), Op::Activate).kind, Kind::Lease);
}

#[test]
fn an_old_folder_of_an_unknown_version_or_with_a_changed_file_is_left_as_it_is() {
    let vendor = Vendor::init();
    let license = "licenses/875/494950552435298875";
    for (name, from, to, said) in [
        ("keys.json".to_owned(), "\"v\":1", "\"v\":9", "version 9 is not known"),
        (format!("{license}.json"), "\"left\":916", "\"left\":917", "do not add up"),
        (format!("{license}.log"), "\"consumed\":5", "\"consumed\":6", "does not follow"),
    ] {
        old_folder(&vendor.dir());
        let path = vendor.dir().join(&name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let output = vendor.run(&["upgrade"]);
        assert!(output.code == 1 && output.err.contains(said), "{output:?}");
        assert!(vendor.dir().join("keys.json").exists(), "{name}");
    }
}

/// Kills a command at its first, second, third … call of each kind until it ends by itself; after each kill,
/// `check` is called. How many points there were.
fn kill_at_each(
    kinds: &[&str],
    mut prepare: impl FnMut(),
    command: impl Fn() -> Vec<String>,
    mut check: impl FnMut(),
) -> usize {
    let mut points = 0;
    for kind in kinds {
        for number in 1.. {
            prepare();
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={kind}"), "-e"]);
            strace.arg(format!("inject={kind}:signal=KILL:when={number}"));
            let output = strace.arg(program()).args(command()).output().unwrap();
            let killed = output.status.signal() == Some(9) || output.status.code() == Some(137);
            check();
            if !killed {
                assert!(output.status.success(), "{kind} {number}: {output:?}");
                break;
            }
            points += 1;
        }
    }
    points
}

const CHANGING: [&str; 7] =
    ["pwrite64", "write", "rename", "fdatasync", "fsync", "mkdir", "ftruncate"];

#[test]
fn an_upgrade_that_is_killed_anywhere_is_repeated_and_loses_nothing() {
    if !can_trace() {
        return;
    }
    let vendor = Vendor::init();
    let dir = vendor.dir();
    let words = || ["upgrade", "--dir", dir.to_str().unwrap()].map(str::to_owned).to_vec();
    let points = kill_at_each(
        &CHANGING,
        || old_folder(&dir),
        words,
        || {
            if dir.join("keys.json").exists() {
                vendor.ok(&["upgrade"]);
            }
            let said = vendor.ok(&["verify"]);
            assert!(said.starts_with("2 licenses with 149 entries and 1 of the keys"), "{said}");
        },
    );
    assert!(points > 40, "{points} points");
}

#[test]
fn a_backup_restore_or_copy_that_is_killed_anywhere_is_repeated_and_loses_nothing() {
    if !can_trace() {
        return;
    }
    let vendor = Vendor::init();
    old_folder(&vendor.dir());
    vendor.ok(&["upgrade"]);
    let (from, file, new) = (vendor.dir(), vendor.scratch("backup"), vendor.scratch("new"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let wanted = figures(&text(&from));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let remove = || {
        let _ = std::fs::remove_file(&file);
        let _ = std::fs::remove_dir_all(&new);
    };
    let backup = || words(&["backup", &text(&file), "--dir", &text(&from)]);
    let points = kill_at_each(&CHANGING, remove, backup, || {
        if !file.exists() {
            vendor.ok(&["backup", &text(&file)]);
        }
    });
    assert!(points > 4, "backup: {points} points");
    let restore = || words(&["restore", &text(&file), "--dir", &text(&new)]);
    let gone = || {
        let _ = std::fs::remove_dir_all(&new);
    };
    let whole = || {
        let (exit, said) = run(&["restore", &text(&file), "--dir", &text(&new)]);
        assert!(exit == 0 || said.contains("already"), "{said}");
        assert_eq!(figures(&text(&new)), wanted);
    };
    let points = kill_at_each(&CHANGING, gone, restore, whole);
    assert!(points > 40, "restore: {points} points");
    let places = [format!("dir:{}", text(&from)), format!("dir:{}", text(&new))];
    let empty = || {
        gone();
        std::fs::create_dir(&new).unwrap();
    };
    let copy = || words(&["copy", "--from", &places[0], "--to", &places[1]]);
    let points = kill_at_each(&CHANGING, empty, copy, || {
        let (exit, said) = run(&["copy", "--from", &places[0], "--to", &places[1]]);
        assert_eq!(exit, 0, "{said}");
        assert_eq!(figures(&text(&new)), wanted);
    });
    assert!(points > 40, "copy: {points} points");
}
