//! Damaged state files: the appliance starts, on the safe side, and says what it found.

use crate::state::security_settings::{PASSWORDS, observe};
use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, form, text};
use crate::support::settings::Settings;
use crate::support::tls::handshake;

/// What may become of a file: cut to nothing, overwritten, cut in half.
fn damaged(whole: &[u8]) -> [Vec<u8>; 3] {
    [Vec::new(), b"\0\xff damage \0".to_vec(), whole[..whole.len() / 2].to_vec()]
}

#[test]
fn a_damaged_password_file_lets_nobody_in_from_the_network_until_it_is_reset() {
    let mut appliance = Appliance::start(&Settings::both());
    let set = appliance.https("/v1/security/adminpassword");
    appliance.post(&set, &format!(r#"{{"password": "{}"}}"#, PASSWORDS[0])).ok();
    let file = appliance.state("admin.htpasswd");
    let whole = std::fs::read(&file).unwrap();
    for content in damaged(&whole) {
        appliance.stop();
        std::fs::write(&file, &content).unwrap();
        appliance.launch();
        appliance.logs(0, "admin.htpasswd");
        // And not by a second start either, which finds the file set aside.
        for _ in 0..2 {
            nobody_gets_in(&appliance);
            appliance.restart();
        }

        let socket = appliance.control_socket();
        let url = "http://x/v1/security/reset";
        appliance.curl(&["--unix-socket", text(&socket), "-X", "DELETE", url]).ok();
        assert_eq!(observe(&appliance).password, None);
        appliance.post(&set, &format!(r#"{{"password": "{}"}}"#, PASSWORDS[0])).ok();
    }
}

/// No password anybody might try lets them in.
fn nobody_gets_in(appliance: &Appliance) {
    // Each try from an address of its own, so that none is refused merely for being the eleventh.
    let mut addresses = (2..=250).map(|last| format!("127.0.0.{last}"));
    for url in [
        appliance.https("/v1/management/services"),
        appliance.https("/v2/management/host/about"),
        appliance.http("/v2/management/host/about"),
        appliance.management("/v1/management/services"),
    ] {
        for credentials in ["", "admin:", "admin:admin", "admin:first password"] {
            let from = addresses.next().unwrap();
            let mut arguments = vec!["--interface", &from, &url];
            if !credentials.is_empty() {
                arguments.extend(["-u", credentials]);
            }
            let answer = appliance.curl(&arguments);
            assert!(matches!(answer.status, 401 | 403 | 503), "{url}, {credentials}: {answer:?}");
        }
    }
}

#[test]
fn a_damaged_security_file_leaves_plain_http_off() {
    let mut appliance = Appliance::start(&Settings::v1());
    let ports = appliance.https("/v1/security/insecureports");
    let file = appliance.state("security.json");
    for shape in 0..3 {
        // Written by the appliance itself, with plain HTTP on.
        appliance.post(&ports, r#"{"enable_insecure_ports": false}"#).ok();
        appliance.post(&ports, r#"{"enable_insecure_ports": true}"#).ok();
        assert!(observe(&appliance).plain_http);
        let whole = std::fs::read(&file).unwrap();
        appliance.stop();
        std::fs::write(&file, &damaged(&whole)[shape]).unwrap();
        appliance.launch();
        appliance.logs(0, "security.json");
        assert!(!observe(&appliance).plain_http, "damage {shape}");
        appliance.restart();
        assert!(!observe(&appliance).plain_http, "damage {shape}, second start");
    }
}

#[test]
fn a_damaged_uploaded_certificate_is_set_aside_and_the_default_one_shown() {
    let mut appliance = Appliance::start(&Settings::v1());
    let default_certificate = handshake(appliance.ports.https).unwrap().fingerprint;
    let one = Authority::new(appliance.folder()).issue("one", Key::Ec("P-256"));
    let url = appliance.https("/v1/security/sslcertificate");
    let file = appliance.state("tls/uploaded.pem");
    for shape in 0..3 {
        let [a, b, c, d] = form(&one.key, &one.cert);
        appliance.curl(&[a, b, c, d, url.clone()]).ok();
        let whole = std::fs::read(&file).unwrap();
        appliance.stop();
        std::fs::write(&file, &damaged(&whole)[shape]).unwrap();
        appliance.launch();
        appliance.logs(0, "uploaded.pem");
        let shown = handshake(appliance.ports.https).unwrap().fingerprint;
        assert_eq!(shown, default_certificate, "damage {shape}");
    }
}

#[test]
fn a_damaged_default_certificate_does_not_keep_the_appliance_from_starting() {
    let mut appliance = Appliance::start(&Settings::v1());
    let file = appliance.state("tls/default.pem");
    let whole = std::fs::read(&file).unwrap();
    for content in damaged(&whole) {
        appliance.stop();
        std::fs::write(&file, &content).unwrap();
        appliance.launch();
        appliance.logs(0, "default.pem");
        let made_anew = handshake(appliance.ports.https).unwrap().fingerprint;
        appliance.restart();
        assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, made_anew);
    }
}

#[test]
fn check_names_every_damaged_file_and_starts_nothing() {
    let mut appliance = Appliance::start(&Settings::v1());
    let set = appliance.https("/v1/security/adminpassword");
    let one = Authority::new(appliance.folder()).issue("one", Key::Ec("P-256"));
    let [a, b, c, d] = form(&one.key, &one.cert);
    appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")]).ok();
    let ports = appliance.https("/v1/security/insecureports");
    appliance.post(&ports, r#"{"enable_insecure_ports": false}"#).ok();
    appliance.post(&set, &format!(r#"{{"password": "{}"}}"#, PASSWORDS[0])).ok();
    appliance.stop();

    let fine = appliance.program("check", &[]);
    assert_eq!(fine.code, 0, "{fine:?}");
    assert!(fine.out.contains("\"https_port\""), "the settings as understood: {fine:?}");

    let files = ["admin.htpasswd", "security.json", "tls/uploaded.pem"];
    for file in files {
        std::fs::write(appliance.state(file), b"\0 damage").unwrap();
    }
    let faults = appliance.program("check", &[]);
    assert_eq!(faults.code, 1, "{faults:?}");
    for file in files {
        let name = file.rsplit('/').next().unwrap();
        assert!(format!("{}{}", faults.out, faults.err).contains(name), "{file}: {faults:?}");
        let left = std::fs::read(appliance.state(file)).unwrap();
        assert_eq!(left, b"\0 damage", "check must only look: {file}");
    }
}
