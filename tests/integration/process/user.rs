//! Started as root, the daemon becomes the `user` of the settings and works on.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::proc::daemon;
use crate::support::appliance::Appliance;
use crate::support::folder::Folder;
use crate::support::prerequisites::{Namespace, root};
use crate::support::settings::Settings;
use crate::support::stub::{Stub, ok};
use crate::support::wait::{SOON, until};

/// The number that Debian's "nobody" has; there need be no such user.
pub(crate) const NOBODY: u32 = 65_534;

/// Changes the settings of an appliance whose daemon doesn't run.
pub(crate) fn change(appliance: &Appliance, key: &str, value: Value) {
    let path = appliance.config();
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    settings[key] = value;
    fs::write(&path, settings.to_string()).unwrap();
}

/// An appliance with a state that root has made, whose daemon now becomes nobody.
fn demoted() -> Appliance {
    let mut appliance = Appliance::start(&Settings::v1());
    appliance.stop();
    fs::set_permissions(appliance.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    change(&appliance, "user", json!(format!("{NOBODY}:{NOBODY}")));
    appliance.launch();
    appliance
}

#[test]
fn root_is_given_up_by_every_thread_with_its_groups() {
    if !root() {
        return;
    }
    let appliance = demoted();
    let process = daemon(&appliance);
    let four = [NOBODY.to_string().as_str(); 4].join(" ");
    for name in ["Uid", "Gid"] {
        let values = process.statuses(name);
        assert!(values.iter().all(|value| *value == four), "{name}: {values:?}");
    }
    assert_eq!(process.status("Groups"), "");
    assert_eq!(process.owner_of_secrets(), 0, "others of its user can look into its memory");
    assert!(!appliance.log().contains("running as root"), "{}", appliance.log());
}

#[test]
fn a_user_by_name_has_the_groups_it_is_a_member_of_and_reaches_their_sockets() {
    const ENGINE: u32 = 4242;
    if !root() {
        return;
    }
    let Some(mut command) = Namespace::Mount.unshare() else { return };
    let folder = Folder::new();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let [passwd, group, socket] =
        ["passwd", "group", "engine.sock"].map(|name| folder.path().join(name));
    fs::write(&passwd, format!("applianced:x:{NOBODY}:{NOBODY}::/:/bin/false\n")).unwrap();
    let groups = format!("root:x:0:\nengine:x:{ENGINE}:somebody,applianced\nother:x:4243:else\n");
    fs::write(&group, groups).unwrap();
    let _engine = Stub::start_unix(&socket, |visit| {
        while visit.request().is_some() {
            visit.say(ok("from the engine").as_bytes());
        }
    });
    std::os::unix::fs::chown(&socket, Some(0), Some(ENGINE)).unwrap();
    fs::set_permissions(&socket, PermissionsExt::from_mode(0o660)).unwrap();

    let service = json!({
        "address": format!("unix:{}", socket.display()), "paths": ["/engine/"], "auth": "none"
    });
    let settings = Settings::v1().service("engine", service).with("user", json!("applianced"));
    let mut appliance = Appliance::prepare(&settings);
    fs::set_permissions(appliance.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    // Only the daemon sees these lists of users and groups.
    let script = r#"mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group &&
        shift 2 && exec setpriv --groups 0,6 "$@""#;
    let real = appliance.command("serve");
    command.args(["sh", "-c", script, "sh"]).arg(&passwd).arg(&group);
    command.arg(real.get_program()).args(real.get_args()).env_remove("NOTIFY_SOCKET");
    appliance.launch_as(&mut command).unwrap();

    assert_eq!(daemon(&appliance).status("Uid"), [NOBODY.to_string().as_str(); 4].join(" "));
    let groups = daemon(&appliance).statuses("Groups");
    assert!(groups.iter().all(|value| *value == ENGINE.to_string()), "{groups:?}");
    appliance.read(&appliance.https("/engine/")).ok();
}

#[test]
fn the_state_and_the_sockets_belong_to_the_user_and_stay_closed_to_others() {
    if !root() {
        return;
    }
    let appliance = demoted();
    let folder = appliance.folder();
    for (name, mode) in [
        ("state", 0o700),
        ("state/tls", 0o700),
        ("state/tls/default.pem", 0o600),
        ("run", 0o755),
        ("run/control.sock", 0o600),
        ("run/usage.sock", 0o660),
    ] {
        let found = fs::metadata(folder.join(name)).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (NOBODY, mode), "{name}");
    }
}

#[test]
fn root_without_the_capability_to_give_files_away_needs_folders_that_are_the_users_already() {
    if !root() {
        return;
    }
    let mut appliance = demoted();
    appliance.stop();
    let without = "--bounding-set=-chown,-dac_override,-dac_read_search,-fowner";
    let real = appliance.command("serve");
    let mut command = Command::new("setpriv");
    command.arg(without).arg(real.get_program()).args(real.get_args()).env_remove("NOTIFY_SOCKET");
    appliance.launch_as(&mut command).unwrap();
    assert_eq!(daemon(&appliance).status("Uid"), [NOBODY.to_string().as_str(); 4].join(" "));
    appliance.read(&appliance.https("/v1/management/ping")).ok();
    appliance.stop();
    std::os::unix::fs::chown(appliance.folder().join("state"), Some(0), Some(0)).unwrap();
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("/state to user"), "{said}");
}

#[test]
fn a_reload_and_a_new_password_work_without_root() {
    if !root() {
        return;
    }
    let appliance = demoted();
    let url = appliance.https("/v1/security/adminpassword");
    appliance.curl(&["-s", "-X", "POST", "-d", r#"{"password": "turnip"}"#, &url]);
    let ping = appliance.https("/v1/management/ping");
    assert_eq!(appliance.read(&ping).status, 401);
    // By hand and as root, as an administrator would.
    let file = appliance.state("admin.htpasswd");
    fs::write(&file, "broken").unwrap();
    appliance.signal(Signal::HUP);
    until(SOON, "the daemon has read the file again", || {
        appliance.log().contains("admin.htpasswd").then_some(())
    });
    assert_eq!(appliance.read(&ping).status, 401);
    let socket = appliance.control_socket();
    let reset = ["-s", "--unix-socket", socket.to_str().unwrap(), "-X", "DELETE"];
    appliance.curl(&[&reset[..], &["http://x/v1/security/reset"]].concat());
    appliance.read(&ping).ok();
}

#[test]
fn what_belongs_to_root_alone_can_not_be_read() {
    if !root() {
        return;
    }
    // Settings can name a file for it to read: then only the user is in the way.
    let mut appliance = demoted();
    let secret = appliance.folder().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(secret.join("file"), "{}").unwrap();
    for file in ["/etc/shadow", secret.join("file").to_str().unwrap()] {
        appliance.stop();
        change(&appliance, "license", json!({"trust_file": file}));
        appliance.launch();
        let log = appliance.log();
        let told =
            log.lines().any(|line| line.contains(file) && line.contains("Permission denied"));
        assert!(told, "{file}:\n{log}");
    }
}

#[test]
fn damaged_files_of_roots_are_kept_aside_without_root() {
    if !root() {
        return;
    }
    let appliance = demoted();
    let socket = appliance.control_socket();
    let ask = |arguments: &[&str]| {
        appliance.curl(&[&["--unix-socket", socket.to_str().unwrap()], arguments].concat())
    };
    let password = r#"{"password": "turnip"}"#;
    let set = ["-d", password, "http://x/v1/security/adminpassword"];
    ask(&set).ok();
    // What root writes anew is root's; the daemon may look at it, or may not.
    for (name, mode, mending) in [
        ("admin.htpasswd", 0o644, &set[..]),
        ("admin.htpasswd", 0o600, &set[..]),
        ("security.json", 0o644, &["-X", "DELETE", "http://x/v1/security/reset"]),
        ("security.json", 0o600, &["-X", "DELETE", "http://x/v1/security/reset"]),
    ] {
        let file = appliance.state(name);
        let _ = fs::remove_file(&file);
        let contents = format!("damage of mode {mode:o}");
        fs::write(&file, &contents).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().uid(), 0);
        ask(mending).ok();
        assert_eq!(fs::metadata(&file).unwrap().uid(), NOBODY, "{name}");
        let kept = fs::read_dir(appliance.state("")).unwrap().filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.to_string_lossy().contains(&format!("{name}.damaged-"))
                && fs::read_to_string(path).unwrap() == contents
        });
        assert_eq!(kept.count(), 1, "{name} of mode {mode:o}");
    }
}
