//! What `health` says of the license: whether work is done, and in words why not.

use serde_json::{Value, json};

use crate::license::usage::Engine as _;
use crate::support::appliance::Appliance;
use crate::support::date::in_seconds;
use crate::support::license::Licensed;
use crate::support::settings::Settings;
use crate::support::vendor::Vendor;
use crate::support::wait::{SOON, until};

const PATH: &str = "/v2/management/health";

fn part(appliance: &Appliance) -> Value {
    appliance.read_as("admin", &appliance.https(PATH)).ok().json()["license"].clone()
}

#[track_caller]
fn ill(appliance: &Appliance, words: &[&str]) {
    let part = part(appliance);
    assert_eq!(part["status"], "unhealthy", "{part}");
    let errors = part["errors"].as_array().unwrap();
    assert_eq!(errors.len(), words.len(), "{part}");
    for (error, words) in errors.iter().zip(words) {
        assert!(error.as_str().unwrap().contains(words), "{words}: {part}");
    }
}

#[test]
fn a_license_is_healthy_while_work_is_done_and_says_why_when_not() {
    let vendor = Vendor::new();
    let code = vendor.sell(&["--secs", "100", "--cache", "100"]);
    let mut appliance = vendor.appliance();
    ill(&appliance, &["there is no license; apply one (-113 "]);
    appliance.apply(&code).ok();
    assert_eq!(part(&appliance), json!({"status": "healthy"}));
    appliance.uses(100);
    until(SOON, "the authority has no more", || {
        (part(&appliance)["status"] == "unhealthy").then_some(())
    });
    ill(&appliance, &["no seconds left (3 "]);

    appliance.stop();
    std::fs::write(appliance.state("license.json"), "half").unwrap();
    appliance.launch();
    ill(&appliance, &["the license file was damaged and is kept aside; post the license code"]);
}

#[test]
fn a_license_that_ended_is_ill() {
    let vendor = Vendor::new();
    let end = in_seconds(2);
    let code = vendor.sell(&["--expires", &end, "--grace-days", "0"]);
    let appliance = vendor.appliance();
    appliance.apply(&code).ok();
    until(SOON, "it has ended", || (part(&appliance)["status"] == "unhealthy").then_some(()));
    ill(&appliance, &[&format!("expired on {end} (-116 ")]);
}

#[test]
fn without_the_keys_of_the_authority_that_is_said_too() {
    let vendor = Vendor::new();
    let mut license = vendor.license_settings("http://127.0.0.1:1/");
    license["trust_file"] = json!("/nonexistent/trust.json");
    let appliance = Appliance::start(&Settings::both().with("license", license));
    ill(&appliance, &["there is no license", "/nonexistent/trust.json does not exist"]);
}

#[test]
fn where_nothing_asks_for_a_license_it_is_disabled() {
    let mut appliance = Appliance::prepare(&Settings::v2());
    let port = appliance.ports.https;
    let listen = |serves: &str| json!([{"address": format!("127.0.0.1:{port}"), "serves": serves, "tls": true}]);
    let file = std::fs::read_to_string(appliance.config()).unwrap();
    let mut settings: Value = serde_json::from_str(&file).unwrap();
    for (serves, status) in [("management", "disabled"), ("all", "unhealthy")] {
        settings["listen"] = listen(serves);
        std::fs::write(appliance.config(), settings.to_string()).unwrap();
        appliance.launch();
        assert_eq!(part(&appliance)["status"], status, "{serves}");
        appliance.stop();
    }
}
