//! State files lost, cut short or edited: the appliance starts, says so, and the same code heals it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::json;

use crate::license::ending::has;
use crate::license::offline::request;
use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::license::Licensed;
use crate::support::settings::free_port;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

fn licensed(vendor: &Vendor) -> (String, Appliance) {
    let code = vendor.sell(&[]);
    let appliance = vendor.appliance();
    appliance.apply(&code).ok();
    (code, appliance)
}

fn kept_aside(appliance: &Appliance, file: &str) -> usize {
    let start = format!("{file}.damaged-");
    let entries = fs::read_dir(appliance.state("")).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&start)).count()
}

#[test]
fn a_damaged_license_is_kept_aside_and_the_same_code_heals_it_without_a_second_seat() {
    let vendor = Vendor::new();
    let (code, mut appliance) = licensed(&vendor);
    let path = appliance.state("license.json");
    for (number, damage) in ["", "{}", "\0\0\0\0"].into_iter().enumerate() {
        appliance.stop();
        fs::write(&path, damage).unwrap();
        appliance.launch();
        assert_eq!(appliance.license()["status"], "-5 License status license does not verify");
        assert_eq!(kept_aside(&appliance, "license.json"), number + 1);
        appliance.logs(0, "license.json does not verify");
        assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
        assert_eq!(vendor.show(&code)["activated"], 1);
    }
}

#[test]
fn an_edited_license_counts_for_nothing() {
    let vendor = Vendor::new();
    let (_, mut appliance) = licensed(&vendor);
    appliance.stop();
    let path = appliance.state("license.json");
    let text = fs::read_to_string(&path).unwrap();
    let edited = text.replace("consumed\\\":0", "consumed\\\":-9");
    assert_ne!(text, edited);
    fs::write(&path, edited).unwrap();
    appliance.launch();
    assert_eq!(appliance.license()["status"], "-5 License status license does not verify");
}

#[test]
fn without_its_license_file_the_appliance_is_unlicensed_and_takes_its_seat_again() {
    let vendor = Vendor::new();
    let (code, mut appliance) = licensed(&vendor);
    for file in ["license.json", "device.key"] {
        appliance.stop();
        fs::remove_file(appliance.state(file)).unwrap();
        appliance.launch();
        assert_eq!(appliance.license()["licensed"], false, "{file}");
        assert_eq!(appliance.apply(&code).ok().json()["licensed"], true, "{file}");
        assert_eq!(vendor.show(&code)["activated"], 1, "{file}");
    }
}

#[test]
fn without_a_trust_file_the_appliance_runs_and_says_what_is_missing() {
    let vendor = Vendor::new();
    let mut settings = vendor.license_settings("http://127.0.0.1:1/");
    settings["trust_file"] = json!("/nonexistent/trust.json");
    let settings = crate::support::settings::Settings::both().with("license", settings);
    let appliance = Appliance::start(&settings);
    assert_eq!(appliance.license()["connected"], false);
    let refused = appliance.apply("494900000000000000");
    assert_eq!((refused.status, &refused.json()["reason"]), (500, &json!("trust_file")));
    appliance.logs(0, "/nonexistent/trust.json");
    let checked = appliance.program("check", &[]);
    assert!(checked.err.contains("no license can be checked"), "{checked:?}");
}

#[test]
fn a_broken_trust_file_is_found_by_check() {
    let vendor = Vendor::new();
    let appliance = Appliance::prepare(&vendor.settings(free_port()));
    assert_eq!(appliance.program("check", &[]).code, 0);
    let whole = fs::read_to_string(vendor.trust_file()).unwrap();
    for broken in
        ["{", "{}", &whole.replacen("\"pub\":\"", "\"pub\":\"A", 1), &whole[..whole.len() / 2]]
    {
        fs::write(vendor.trust_file(), broken).unwrap();
        let checked = appliance.program("check", &[]);
        assert_eq!(checked.code, 1, "{broken}");
        assert!(checked.err.contains("trust.json"), "{checked:?}");
    }
}

#[test]
fn status_tells_the_license_with_and_without_a_daemon() {
    let vendor = Vendor::new();
    let (_, mut appliance) = licensed(&vendor);
    let shown = appliance.program("status", &[]).out;
    assert!(
        shown.contains("License      licensed: 3 License status concurrent license"),
        "{shown}"
    );
    appliance.stop();
    let shown = appliance.program("status", &["--json"]).json();
    assert_eq!(shown["license"]["licensed"], true, "{shown}");
    fs::write(appliance.state("license.json"), "half").unwrap();
    let shown = appliance.program("status", &["--json"]).json();
    assert_eq!(shown["license"]["licensed"], false, "{shown}");
    assert!(shown["faults"][0].as_str().unwrap().contains("license.json"), "{shown}");
    assert!(appliance.state("license.json").exists(), "looking changes nothing");
}

#[test]
fn check_names_what_is_damaged_and_what_to_do_while_nothing_is_changed() {
    let vendor = Vendor::new();
    let (_, mut appliance) = licensed(&vendor);
    appliance.stop();
    assert_eq!(appliance.program("check", &[]).code, 0);
    let again = "post the license code again";
    for (file, damage, remedy) in [
        ("device.key", Some("half"), again),
        ("device.key", None, again),
        ("license.json", Some("half"), again),
        ("license-network.json", Some("half"), "POST license/network"),
    ] {
        let path = appliance.state(file);
        let whole = fs::read(&path);
        match damage {
            Some(damage) => fs::write(&path, damage).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let checked = appliance.program("check", &[]);
        assert_eq!(checked.code, 1, "{file} {damage:?}: {checked:?}");
        assert!(checked.err.contains(path.to_str().unwrap()), "{checked:?}");
        assert!(checked.err.contains(remedy), "{checked:?}");
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), damage, "looking changes nothing");
        match whole {
            Ok(whole) => fs::write(&path, whole).unwrap(),
            Err(_) => fs::remove_file(&path).unwrap(),
        }
    }
    assert_eq!(appliance.program("check", &[]).code, 0);
}

#[test]
fn a_lost_computer_id_is_no_fault_and_the_license_is_looked_at_all_the_same() {
    let vendor = Vendor::new();
    let (_, mut appliance) = licensed(&vendor);
    let path = appliance.state("identity.json");
    for damage in [None, Some("half")] {
        appliance.stop();
        match damage {
            Some(damage) => fs::write(&path, damage).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let checked = appliance.program("check", &[]);
        assert_eq!(checked.code, 0, "{checked:?}");
        let shown = appliance.program("status", &["--json"]).json();
        assert_eq!(shown["license"]["licensed"], true, "{shown}");
        appliance.launch();
        assert_eq!(appliance.license()["licensed"], true, "{damage:?}");
    }
}

const LICENSED: &str = "3 License status concurrent license";
const NOT_BELIEVED: &str = "-5 License status license does not verify";

/// Starts it with a license file that anybody could have written.
fn start_in_doubt(appliance: &mut Appliance) -> Vec<u8> {
    appliance.stop();
    let path = appliance.state("license.json");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let checked = appliance.program("check", &[]);
    let mended = format!("chmod 600 {}", path.display());
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(checked.err.contains(&mended), "{checked:?}");
    appliance.launch();
    assert_eq!(has(appliance, NOT_BELIEVED), Some(()));
    appliance.logs(0, &mended);
    fs::read(&path).unwrap()
}

#[test]
fn a_license_file_that_is_not_believed_is_left_alone_until_it_is_mended() {
    let vendor = Vendor::new();
    let (_, mut appliance) = licensed(&vendor);
    appliance.uses(30);
    let used = fs::read(appliance.state("license-usage.log")).unwrap();
    let before = start_in_doubt(&mut appliance);
    let message = appliance.license()["message"].clone();
    // Newer keys are written down by themselves, as the time is.
    vendor.ok(&["rotate", "issuer"]);
    until(SOON, "the appliance has the new keys", || {
        appliance.license();
        appliance.log().contains("newer keys of the license authority accepted").then_some(())
    });
    appliance.stop();
    let path = appliance.state("license.json");
    assert_eq!(fs::read(&path).unwrap(), before, "written over");
    let message = message.as_str().unwrap();
    assert!(message.contains("left unchanged") && message.contains("restart"), "{message}");
    assert_eq!(kept_aside(&appliance, "license.json"), 0);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    appliance.launch();
    assert_eq!(has(&appliance, LICENSED), Some(()), "{}", appliance.log());
    assert_eq!(fs::read(appliance.state("license-usage.log")).unwrap(), used);
}

#[test]
fn what_a_person_begins_anew_keeps_the_file_that_was_not_believed_aside() {
    let vendor = Vendor::new();
    let begin: [fn(&Appliance, &str); 3] = [
        |appliance, code| drop(appliance.apply(code).ok()),
        |appliance, code| drop(request(appliance, code)),
        |appliance, _| drop(appliance.remove().ok()),
    ];
    for (number, begin) in begin.into_iter().enumerate() {
        let (code, mut appliance) = licensed(&vendor);
        appliance.uses(30);
        let used = fs::read(appliance.state("license-usage.log")).unwrap();
        let before = start_in_doubt(&mut appliance);
        begin(&appliance, &code);
        for (file, contents) in [("license.json", before), ("license-usage.log", used)] {
            let entries = fs::read_dir(appliance.state("")).unwrap().flatten();
            let start = format!("{file}.damaged-");
            let mut aside = entries
                .map(|entry| entry.path())
                .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&start));
            assert_eq!(fs::read(aside.next().unwrap()).unwrap(), contents, "{number} {file}");
        }
        appliance.logs(0, "the unusable license file was kept as ");
        let status = appliance.license()["status"].clone();
        appliance.restart();
        assert_eq!(appliance.license()["status"], status, "{number}");
        assert_eq!(kept_aside(&appliance, "license.json"), 1, "{number}");
    }
}

#[test]
fn a_link_in_place_of_the_license_file_is_left_alone_and_what_it_names_is_never_touched() {
    let vendor = Vendor::new();
    let (code, mut appliance) = licensed(&vendor);
    appliance.stop();
    let (path, elsewhere) = (appliance.state("license.json"), appliance.folder().join("elsewhere"));
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    appliance.launch();
    assert_eq!(has(&appliance, NOT_BELIEVED), Some(()));
    assert_eq!(fs::read_link(&path).unwrap(), elsewhere);
    appliance.apply(&code).ok();
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
    assert_eq!(has(&appliance, LICENSED), Some(()));
}

#[test]
fn a_license_file_that_was_not_believed_may_be_gone_when_somebody_begins_anew() {
    let vendor = Vendor::new();
    let (code, mut appliance) = licensed(&vendor);
    start_in_doubt(&mut appliance);
    let path = appliance.state("license.json");
    fs::rename(&path, appliance.folder().join("moved")).unwrap();
    assert_eq!(appliance.apply(&code).ok().json()["licensed"], true);
    assert_eq!(vendor.show(&code)["activated"], 1);
}
