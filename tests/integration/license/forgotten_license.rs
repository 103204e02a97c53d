//! An authority that has forgotten a license: restored from a backup, or a standby that lags behind.

use crate::license::ending::restart_services;
use crate::support::appliance::Appliance;
use crate::support::engine::Engine;
use crate::support::folder::copy;
use crate::support::license::Licensed;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

const WORDS: &str = "the license service does not know this license; contact the vendor";

/// A vendor whose books are those of before the license was sold, and an appliance that has it.
fn forgotten(engine: &Engine) -> (Vendor, Appliance) {
    let mut vendor = Vendor::new();
    let backup = vendor.dir().with_extension("backup");
    copy(&vendor.dir(), &backup);
    let code = vendor.sell(&[]);
    let appliance = Appliance::start(&vendor.settings(vendor.port()).speech(engine.address));
    appliance.apply(&code).ok();
    vendor.kill();
    copy(&vendor.dir(), &vendor.dir().with_extension("newer"));
    copy(&backup, &vendor.dir());
    vendor.serve();
    restart_services(&appliance);
    (vendor, appliance)
}

fn says_so(appliance: &Appliance) -> Option<()> {
    let document = appliance.license();
    assert_eq!(document["licensed"], true, "{document}");
    document["message"].as_str().unwrap().contains(WORDS).then_some(())
}

#[test]
fn a_license_that_its_authority_has_forgotten_lasts_to_the_end_of_its_lease_and_says_so() {
    let engine = Engine::start();
    let (mut vendor, mut appliance) = forgotten(&engine);
    until(SOON, "the administrator is told", || says_so(&appliance));
    appliance.post(&appliance.https("/v2/jobs"), "{}").ok();
    appliance.restart();
    until(SOON, "over a restart too", || says_so(&appliance));
    // The newer books are back.
    vendor.kill();
    copy(&vendor.dir().with_extension("newer"), &vendor.dir());
    vendor.serve();
    restart_services(&appliance);
    until(SOON, "all is well", || {
        let document = appliance.license();
        assert_eq!(document["licensed"], true, "{document}");
        (document["message"] == "").then_some(())
    });
}

#[test]
fn a_license_that_its_authority_has_forgotten_gives_way_to_another_one() {
    let engine = Engine::start();
    let (vendor, appliance) = forgotten(&engine);
    until(SOON, "the administrator is told", || says_so(&appliance));
    let other = vendor.sell(&[]);
    let refused = appliance.apply(&other).json();
    assert_eq!(refused["reason"], "license_present", "{refused}");
    assert_eq!(appliance.remove().ok().out, r#"{"transcription_secs_returned": 0}"#);
    assert_eq!(appliance.apply(&other).ok().json()["licensed"], true);
}
