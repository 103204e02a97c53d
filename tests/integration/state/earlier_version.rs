//! Settings and a state folder as the version before wrote them: this one starts with them, and everything
//! in them is in force.
//!
//! The files in `earlier_version` were written by a running appliance. They stay as they are: what is written
//! anew would prove nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::certificates::fingerprint;
use crate::support::settings::Settings;
use crate::support::stub::Stub;
use crate::support::tls::handshake;

const PASSWORD: &str = "turnip and leek";

fn earlier(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/state/earlier_version").join(name)
}

/// Copies a folder and makes it private: neither owner nor mode of its files is kept where tests are.
fn copy_private(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_private(&path, &copy);
        } else {
            fs::write(&copy, fs::read(&path).unwrap()).unwrap();
            fs::set_permissions(&copy, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// The earlier appliance with the folders and ports of this test, in front of `service`.
fn updated(service: &Stub) -> Appliance {
    let appliance = Appliance::prepare(&Settings::both());
    let read = |path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let (mut settings, own) = (read(earlier("config.json")), read(appliance.config()));
    for key in ["state_dir", "run_dir", "listen", "https_port"] {
        settings[key] = own[key].clone();
    }
    for name in ["speech", "own"] {
        settings["services"][name]["address"] = json!(service.address.to_string());
    }
    // A copy, because the daemon trusts no file of another user, such as the owner of this repository.
    let trust = appliance.folder().join("license-trust.json");
    fs::write(&trust, fs::read(earlier("license-trust.json")).unwrap()).unwrap();
    settings["license"]["trust_file"] = json!(trust);
    fs::write(appliance.config(), settings.to_string()).unwrap();
    copy_private(&earlier("state"), &appliance.state(""));
    appliance
}

#[test]
fn settings_and_state_of_the_version_before_are_in_force_after_an_update_and_after_a_restart() {
    let service = Stub::answering("served");
    let mut appliance = updated(&service);
    appliance.program("check", &[]).ok();
    appliance.launch();
    are_in_force(&appliance);
    appliance.restart();
    are_in_force(&appliance);
}

fn are_in_force(appliance: &Appliance) {
    // The uploaded certificate.
    let shown = handshake(appliance.ports.https).unwrap().fingerprint;
    assert_eq!(shown, fingerprint(&earlier("state/tls/uploaded.pem")));

    // Plain HTTP is off.
    assert_eq!(appliance.read(&appliance.management("/v1/management/ping")).code, 52, "no byte");
    assert_eq!(appliance.read(&appliance.http("/v1/management/ping")).status, 301);

    // The password, for what is ours and for the service of the settings.
    for path in ["/v1/management/ping", "/v2/management/host/about", "/own/"] {
        let url = appliance.https(path);
        assert_eq!(appliance.read(&url).status, 401, "{path}");
        assert_eq!(appliance.read_as("admin", &url).status, 401, "{path}");
        appliance.read_as(PASSWORD, &url).ok();
    }

    // The license and its proxy; a job needs the one.
    let get = |path: &str| appliance.read_as(PASSWORD, &appliance.https(path)).ok().json();
    let license = get("/v1/management/license");
    for (name, value) in [
        ("licensed", json!(true)),
        ("license_code", json!("494912952050485741")),
        ("subscription_expiry", json!("2097-10-16T12:26:37Z")),
        ("transcription_secs_allowed", json!(1_799_900)),
        ("transcription_secs_allocated", json!(1_800_000)),
    ] {
        assert_eq!(license[name], value, "{name}: {license}");
    }
    let proxy = json!({"http_configuration": {"ip": "192.0.2.7", "port": 3128}});
    assert_eq!(get("/v1/management/license/network"), proxy);
    assert_eq!(appliance.post(&appliance.https("/v2/jobs"), "{}").ok().out, "served");

    let log = appliance.log();
    assert!(!log.contains(" error ") && !log.contains("damaged"), "{log}");
}
