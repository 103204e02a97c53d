//! What `serve` gives up once it listens: root, capabilities, system calls, and files of others.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use applianced::protocol::message::{Kind, Op};

use crate::authority::fixture::{fixture, serving};
use crate::process::proc::Process;
use crate::process::user::NOBODY;
use crate::support::prerequisites::{not_tried, root};
use crate::support::vendor::Vendor;

fn process(vendor: &Vendor) -> Process {
    Process(vendor.pid().as_raw_nonzero().get().cast_unsigned())
}

/// An authority in folders that every user may enter, as those of a system are.
fn open_to_nobody() -> (Vendor, crate::authority::machine::Machine) {
    let (vendor, _, machine) = fixture(&["--activations", "5"]);
    let folder = vendor.scratch("");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    (vendor, machine)
}

#[test]
fn it_has_no_capability_cannot_gain_one_and_makes_few_system_calls() {
    let (vendor, _, mut machine) = serving(&[]);
    machine.ask(vendor.address(), Op::Activate);
    let process = process(&vendor);
    for name in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        let all = process.statuses(name);
        assert!(all.iter().all(|set| set == "0000000000000000"), "{name}: {all:?}");
    }
    assert!(process.statuses("NoNewPrivs").iter().all(|value| value == "1"));
    if vendor.log().contains("no seccomp") {
        return not_tried(&vendor.log());
    }
    let filtered = process.statuses("Seccomp");
    assert!(filtered.iter().all(|mode| mode == "2"), "{filtered:?}");
}

#[test]
fn root_becomes_the_user_who_gets_the_folder_and_the_socket() {
    if !root() {
        return;
    }
    let (mut vendor, mut machine) = open_to_nobody();
    let socket = vendor.scratch("http.sock");
    let unix = format!("unix:{}", socket.display());
    let user = format!("{NOBODY}:{NOBODY}");
    // Twice: what it has made itself is its own, too.
    for op in [Op::Activate, Op::Sync] {
        let address = vendor.serve_with(&["--listen", &unix, "--user", &user]);
        assert_eq!(machine.ask(address, op).kind, Kind::Lease);
        let four = [NOBODY.to_string().as_str(); 4].join(" ");
        for name in ["Uid", "Gid"] {
            let all = process(&vendor).statuses(name);
            assert!(all.iter().all(|value| *value == four), "{name}: {all:?}");
        }
        assert!(!vendor.log().contains("running as root"), "{}", vendor.log());
        assert_eq!(fs::metadata(&socket).unwrap().uid(), NOBODY);
        let mut found = 0;
        let mut folders = vec![vendor.dir()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let data = fs::symlink_metadata(&path).unwrap();
                assert_eq!(data.uid(), NOBODY, "{}", path.display());
                found += 1;
                folders.extend(data.is_dir().then_some(path));
            }
        }
        assert!(found > 6, "{found} files");
        assert_eq!(vendor.stop().code(), Some(0));
    }
    // A folder that is root's alone, such as /run, keeps the socket; the next start replaces it.
}

#[test]
fn a_link_in_its_folder_leads_root_nowhere() {
    if !root() {
        return;
    }
    let (mut vendor, _) = open_to_nobody();
    let (outside, file) = (vendor.scratch("outside"), vendor.scratch("outside/file"));
    fs::create_dir(&outside).unwrap();
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&outside, vendor.dir().join("link")).unwrap();
    std::os::unix::fs::symlink(&file, vendor.dir().join("other")).unwrap();
    vendor.serve_with(&["--user", &format!("{NOBODY}:{NOBODY}")]);
    for path in [outside, file] {
        assert_eq!(fs::metadata(&path).unwrap().uid(), 0, "{}", path.display());
    }
}

#[test]
fn who_runs_as_root_is_told_and_a_user_that_is_none_is_refused() {
    if !root() {
        return;
    }
    let vendor = Vendor::new();
    vendor.logged("running as root, though without its capabilities: set --user");
    let other = Vendor::init();
    let refused = other.run(&["serve", "--listen", "127.0.0.1:0", "--user", "no-such-user"]);
    assert!(refused.code == 1 && refused.err.contains("is not in /etc/passwd"), "{refused:?}");
}
