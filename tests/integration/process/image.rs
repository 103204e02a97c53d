//! What ships beside the program: the example settings, and the look at an image before it ships.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::command::{Output, run};
use crate::support::folder::Folder;
use crate::support::settings::Settings;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/init").join(name)
}

#[test]
fn the_example_settings_are_understood() {
    let appliance = Appliance::prepare(&Settings::both());
    let text = fs::read(shipped("config.json")).unwrap();
    let mut settings: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(settings["user"], "applianced");
    // The user and the folders are the image's; this machine has others.
    let all = settings.as_object_mut().unwrap();
    all.remove("user");
    all.insert("state_dir".to_owned(), json!(appliance.folder().join("state")));
    fs::write(appliance.config(), settings.to_string()).unwrap();
    let checked = appliance.program("check", &[]).ok();
    assert_eq!(checked.json()["commands"]["reboot"], settings["commands"]["reboot"]);
}

/// An image with nothing in it but what every appliance shares.
fn image() -> Folder {
    let image = Folder::new();
    for folder in ["etc/applianced", "etc/ssh", "var/lib/applianced/tls", "root/.ssh"] {
        fs::create_dir_all(image.path().join(folder)).unwrap();
    }
    for (file, text) in [
        ("etc/machine-id", ""),
        ("etc/applianced/license-trust.json", "{}"),
        ("etc/applianced/config.json", "{\n  \"user\": \"applianced\"\n}\n"),
    ] {
        fs::write(image.path().join(file), text).unwrap();
    }
    image
}

fn check(image: &Path) -> Output {
    run(Command::new(shipped("image-check")).arg(image))
}

#[test]
fn a_clean_image_may_ship() {
    let image = image();
    let checked = check(image.path());
    assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{checked:?}");
}

#[test]
fn whatever_belongs_to_one_appliance_is_named_with_what_to_do() {
    for (file, advice) in [
        ("var/lib/applianced/tls/default.pem", "rm -r /var/lib/applianced/*"),
        ("var/lib/applianced/device.key", "rm -r /var/lib/applianced/*"),
        ("var/lib/applianced/admin.htpasswd", "rm -r /var/lib/applianced/*"),
        ("etc/machine-id", ": >/etc/machine-id"),
        ("etc/ssh/ssh_host_ed25519_key", "rm it"),
        ("root/.ssh/authorized_keys", "rm it"),
    ] {
        let image = image();
        fs::write(image.path().join(file), "x").unwrap();
        let checked = check(image.path());
        assert_eq!(checked.code, 1, "{file}: {checked:?}");
        let lines: Vec<&str> = checked.out.lines().collect();
        assert_eq!(lines.len(), 1, "{file}: {checked:?}");
        assert!(
            lines[0].starts_with(&format!("/{file}: ")) && lines[0].ends_with(advice),
            "{checked:?}"
        );
    }
}

#[test]
fn the_state_is_looked_for_where_the_image_has_it() {
    let image = image();
    let settings = "{\n  \"state_dir\": \"/data/state\"\n}\n";
    fs::write(image.path().join("etc/applianced/config.json"), settings).unwrap();
    fs::create_dir_all(image.path().join("data/state")).unwrap();
    assert_eq!(check(image.path()).code, 0);
    fs::write(image.path().join("data/state/license.json"), "x").unwrap();
    let checked = check(image.path());
    assert!(checked.out.starts_with("/data/state/license.json: "), "{checked:?}");
}

#[test]
fn an_image_without_keys_of_the_authority_or_no_image_at_all_is_told() {
    let image = image();
    fs::remove_file(image.path().join("etc/applianced/license-trust.json")).unwrap();
    assert!(check(image.path()).out.contains("every license is refused"));
    assert_eq!(check(Path::new("/nowhere")).code, 2);
}
