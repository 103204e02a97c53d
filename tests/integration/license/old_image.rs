//! An image is older than the keys of its vendor: what was granted since is believed over restarts, by the
//! daemon and by who looks without one.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::license::ending::has;
use crate::license::offline::{put, request};
use crate::support::appliance::Appliance;
use crate::support::license::Licensed;
use crate::support::settings::Settings;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

const LICENSED: &str = "3 License status concurrent license";

/// An appliance whose image has the trust file of today, and a vendor who rotates the issuer tomorrow.
fn old_image(vendor: &Vendor) -> Appliance {
    let image: PathBuf = vendor.dir().join("image-trust.json");
    fs::copy(vendor.trust_file(), &image).unwrap();
    let url = format!("http://127.0.0.1:{}/", vendor.port());
    let license = json!({"authority_url": url, "trust_file": image});
    let appliance = Appliance::start(&Settings::both().with("license", license));
    vendor.ok(&["rotate", "issuer"]);
    appliance
}

/// Of the state folder only the license and the device are left.
fn lose_the_rest(appliance: &Appliance) {
    for entry in fs::read_dir(appliance.state("")).unwrap().flatten() {
        let kept = ["license.json", "device.key", "identity.json"];
        let is_kept = kept.iter().any(|name| entry.file_name() == *name);
        if entry.file_type().unwrap().is_file() && !is_kept {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// The vendor is out of reach, so that nothing but the files can tell.
fn is_still_licensed(vendor: &mut Vendor, appliance: &mut Appliance) {
    vendor.kill();
    appliance.stop();
    lose_the_rest(appliance);
    let checked = appliance.program("check", &[]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let shown = appliance.program("status", &["--json"]).json();
    assert_eq!(shown["license"]["licensed"], true, "{shown}");
    appliance.launch();
    assert_eq!(has(appliance, LICENSED), Some(()), "{}", appliance.log());
}

#[test]
fn a_license_signed_with_a_newer_key_than_the_images_outlives_all_other_files() {
    let mut vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let mut appliance = old_image(&vendor);
    appliance.apply(&code).ok();
    is_still_licensed(&mut vendor, &mut appliance);
}

#[test]
fn a_license_certificate_signed_with_a_newer_key_than_the_images_outlives_all_other_files() {
    let mut vendor = Vendor::new();
    let code = vendor.sell(&["--offline-mode"]);
    let mut appliance = old_image(&vendor);
    let certificate = vendor.sign(&request(&appliance, &code));
    put(&appliance, &code, &certificate).ok();
    is_still_licensed(&mut vendor, &mut appliance);
}

#[test]
fn newer_keys_outlive_a_start_without_a_trust_file() {
    let mut vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let mut appliance = old_image(&vendor);
    appliance.apply(&code).ok();
    vendor.kill();
    let (image, away) = (vendor.dir().join("image-trust.json"), vendor.dir().join("away.json"));
    fs::rename(&image, &away).unwrap();
    appliance.restart();
    assert_eq!(appliance.license()["licensed"], true, "what is sealed is believed");
    // Charging writes the state down.
    crate::license::usage::Engine::uses(&appliance, 100);
    appliance.stop();
    fs::rename(&away, &image).unwrap();
    appliance.launch();
    is_still_licensed(&mut vendor, &mut appliance);
}

/// A license that was granted with an older key is what the newer keys decide about.
#[test]
fn a_withdrawn_key_stays_withdrawn_whatever_else_is_lost() {
    let mut vendor = Vendor::new();
    let code = vendor.sell(&[]);
    let mut appliance = old_image(&vendor);
    appliance.apply(&code).ok();
    let accepted = "newer keys of the license authority accepted";
    appliance.logs(0, accepted);
    let known = appliance.log().len();
    vendor.ok(&["rotate", "issuer", "--revoke"]);
    until(SOON, "the appliance has the new keys", || {
        appliance.license(); // a sign of life brings them
        appliance.log()[known..].contains(accepted).then_some(())
    });
    vendor.kill();
    appliance.stop();
    lose_the_rest(&appliance);
    let shown: Value = appliance.program("status", &["--json"]).json();
    let withdrawn = "-5 License status license does not verify";
    assert_eq!(shown["license"]["status"], withdrawn, "{shown}");
    appliance.launch();
    assert_eq!(has(&appliance, withdrawn), Some(()));
    let message = appliance.license()["message"].clone();
    assert!(message.as_str().unwrap().contains("withdrawn the key"), "{message}");
}
