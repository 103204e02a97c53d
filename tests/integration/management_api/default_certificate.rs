//! The default certificate follows the appliance when it is asked to; and the end of a certificate is told in time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, Pair, fingerprint};
use crate::support::settings::Settings;
use crate::support::tls::handshake;

/// Puts certificate and key where the appliance keeps its own.
fn put(appliance: &Appliance, name: &str, pair: &Pair) {
    let text = [&pair.cert, &pair.key].map(|file| fs::read_to_string(file).unwrap()).concat();
    let file = appliance.state(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&appliance.state(""), 0o700);
    fs::write(&file, text).unwrap();
    mode(file.parent().unwrap(), 0o700);
    mode(&file, 0o600);
}

/// An appliance that had other names when it made its certificate.
fn renamed() -> Appliance {
    let mut appliance = Appliance::prepare(&Settings::both());
    let authority = Authority::new(appliance.folder());
    put(&appliance, "tls/default.pem", &authority.issue("formerly", Key::Rsa(2048)));
    appliance.launch();
    appliance
}

#[test]
fn a_machine_that_was_renamed_is_told_to_make_its_certificate_anew_and_does_it_when_asked() {
    let mut appliance = renamed();
    let host = String::from_utf8(fs::read("/proc/sys/kernel/hostname").unwrap()).unwrap();
    let host = host.trim().to_ascii_lowercase();
    let url = appliance.https("/v1/security/sslcertificate");
    let before = appliance.read(&url).ok().json();
    let lacks = format!("was made before this machine had {host}");
    assert!(before["warnings"].to_string().contains(&lacks), "{before}");
    for (said, place) in [
        (appliance.log(), "log"),
        (appliance.program("check", &[]).err, "check"),
        (appliance.program("status", &[]).out, "status"),
    ] {
        assert!(
            said.split_whitespace().collect::<Vec<_>>().join(" ").contains(&lacks),
            "{place}: {said}"
        );
    }
    appliance.restart();
    assert_eq!(appliance.read(&url).ok().json()["sha256"], before["sha256"], "replaced unasked");

    let made = appliance.post(&appliance.https("/v1/security/sslcertificate/default"), "").ok();
    let after = appliance.read(&url).ok().json();
    assert!(made.message().contains(after["sha256"].as_str().unwrap()), "{made:?}");
    assert_ne!(after["sha256"], before["sha256"]);
    assert!(!after["warnings"].to_string().contains("was made before"), "{after}");
    assert!(after["names"].as_array().unwrap().contains(&host.into()), "{after}");
    appliance.restart();
    assert_eq!(appliance.read(&url).ok().json()["sha256"], after["sha256"]);
}

#[test]
fn reset_makes_the_certificate_anew_if_it_is_told_to_whether_or_not_the_daemon_runs() {
    let mut appliance = renamed();
    let shown = |appliance: &Appliance| handshake(appliance.ports.https).unwrap().fingerprint;
    let first = shown(&appliance);
    appliance.program("reset", &[]).ok();
    assert_eq!(shown(&appliance), first);
    appliance.program("reset", &["--new-certificate"]).ok();
    let second = shown(&appliance);
    assert_ne!(second, first);
    appliance.stop();
    appliance.program("reset", &["--new-certificate"]).ok();
    appliance.launch();
    assert_ne!(shown(&appliance), second);
}

#[test]
fn an_uploaded_certificate_stays_in_use_when_the_default_one_is_made_anew() {
    let appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let own = authority.issue("own", Key::Ec("P-256"));
    let [a, b, c, d] = crate::support::certificates::form(&own.key, &own.cert);
    appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")]).ok();
    let made = appliance.post(&appliance.https("/v1/security/sslcertificate/default"), "").ok();
    assert!(made.message().contains("the uploaded one stays in use"), "{made:?}");
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, fingerprint(&own.cert));
}

#[test]
fn a_certificate_near_its_end_is_told_by_log_and_health() {
    let day = |days: i64| {
        let done = std::process::Command::new("date")
            .args(["-u", "-d", &format!("{days} days"), "+%Y%m%d%H%M%SZ"])
            .output();
        String::from_utf8(done.unwrap().stdout).unwrap().trim().to_owned()
    };
    for (name, days, level, ill) in [
        ("month", 20, " warning ", false),
        ("week", 5, " error ", true),
        ("over", -2, " error ", true),
    ] {
        let mut appliance = Appliance::prepare(&Settings::both());
        let authority = Authority::new(appliance.folder());
        let pair = authority.issue_dated(name, &day(-60), &day(days));
        put(&appliance, "tls/uploaded.pem", &pair);
        appliance.launch();
        let expires = format!("upload a renewed one for CN={name}");
        appliance.logs(0, &expires);
        let log = appliance.log();
        let line = log.lines().find(|line| line.contains(&expires)).unwrap();
        assert!(line.contains(level), "{line}");
        let url = appliance.https("/v2/management/health");
        let told = appliance.read_as("admin", &url).ok().json()["certificate"].clone();
        assert_eq!(told["status"] == "unhealthy", ill, "{name}: {told}");
        assert_eq!(told.to_string().contains(&expires), ill, "{name}: {told}");
    }
}
