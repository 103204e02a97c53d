//! The authority that issues the certificate: set, shown, ended. Nobody answers as an authority here, so every
//! attempt fails.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, form};
use crate::support::settings::Settings;
use crate::support::tls::handshake;
use crate::support::wait::{SOON, within};

const ACME: &str = "/v1/security/acme";

/// A port on which nobody listens.
const NOBODY: &str = "https://127.0.0.1:1/directory";

const SECRET: &str = "aHVzaC1odXNoLTQ3MTE";

fn wanted() -> Value {
    json!({
        "directory": NOBODY, "names": ["box.example"], "contact": "admin@example.com",
        "external_account": {"kid": "kid-7", "hmac_key": SECRET},
    })
}

/// The answer to GET once an attempt has failed.
fn failing(appliance: &Appliance, url: &str) -> Value {
    let failed = within(SOON, || {
        let told = appliance.read_as("admin", url).ok().json();
        (told["status"] == "failing").then_some(told)
    });
    failed.unwrap_or_else(|| panic!("no attempt has failed: {:?}", appliance.read(url)))
}

fn off(appliance: &Appliance) {
    assert_eq!(appliance.read(&appliance.https(ACME)).ok().json(), json!({"enabled": false}));
}

#[test]
fn an_authority_that_does_not_answer_is_told_with_the_reason_and_the_time_of_the_next_attempt() {
    let appliance = Appliance::start(&Settings::both());
    let url = appliance.https(ACME);
    off(&appliance);
    let shown = handshake(appliance.ports.https).unwrap().fingerprint;
    let told = appliance.post(&url, &wanted().to_string()).ok();
    assert!(told.message().contains("GET acme shows how far that is"), "{told:?}");

    let told = failing(&appliance, &url);
    assert_eq!(told["enabled"], true);
    for (member, value) in [
        ("directory", json!(NOBODY)),
        ("names", json!(["box.example"])),
        ("contact", json!(["mailto:admin@example.com"])),
        ("key_type", json!("ecdsa-p256")),
    ] {
        assert_eq!(told[member], value, "{told}");
    }
    assert_eq!(told["external_account"]["kid"], "kid-7");
    let error = &told["error"];
    let text = |member: &str| error[member].as_str().unwrap();
    assert!(text("message").contains("127.0.0.1:1"), "{told}");
    assert!(text("since") < text("retry") && error["attempts"] == 1, "{told}");
    assert_eq!(told.get("renewal"), None, "{told}");
    assert_eq!(appliance.read_as("admin", &appliance.https("/v2/security/acme")).ok().json(), told);
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, shown);

    let said = format!("no certificate from {NOBODY} (attempt 1)");
    let health = appliance.read_as("admin", &appliance.https("/v2/management/health")).ok().json();
    assert_eq!(health["certificate"]["status"], "healthy", "{health}");
    assert!(health["certificate"]["warnings"].to_string().contains(&said), "{health}");
    appliance.logs(0, &said);
    let check = appliance.program("check", &[]);
    assert!(check.err.contains(&format!("warning: {said}")), "{check:?}");
    let status = appliance.program("status", &[]);
    assert!(status.out.contains(&format!("ACME         failing: {NOBODY}\n")), "{status:?}");

    let seen = format!("{told} {health} {} {check:?} {status:?}", appliance.log());
    assert!(!seen.contains(SECRET), "{seen}");
}

#[test]
fn it_is_in_a_file_of_its_own_and_goes_on_after_a_restart() {
    let mut appliance = Appliance::start(&Settings::both());
    let url = appliance.https(ACME);
    appliance.post(&url, &wanted().to_string()).ok();
    let before = failing(&appliance, &url);
    let file = appliance.state("acme.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    appliance.restart();
    let after = appliance.read(&url).ok().json();
    assert_eq!(after["error"]["since"], before["error"]["since"], "{after}");
    assert_eq!(after["external_account"]["kid"], "kid-7", "{after}");

    appliance.stop();
    let status = appliance.program("status", &[]);
    assert!(status.out.contains(&format!("ACME         failing: {NOBODY}\n")), "{status:?}");
    fs::write(&file, "{}").unwrap();
    let check = appliance.program("check", &[]);
    assert!(check.code != 0 && check.err.contains("acme.json"), "{check:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}", "check has changed it");
    appliance.launch();
    off(&appliance);
    assert!(appliance.log().contains("set ACME again"), "{}", appliance.log());
}

#[test]
fn it_ends_when_told_to_by_an_upload_and_by_a_reset_and_each_says_so() {
    let appliance = Appliance::start(&Settings::v1());
    let url = appliance.https(ACME);
    let set = || appliance.post(&url, &wanted().to_string()).ok();
    set();
    let told = appliance.curl(&["-X", "DELETE", &url]).ok().message();
    assert!(told.starts_with("ACME has ended"), "{told}");
    off(&appliance);
    assert!(!appliance.state("acme.json").exists());
    assert_eq!(appliance.curl(&["-X", "DELETE", &url]).ok().message(), "ACME was not on");

    set();
    let authority = Authority::new(appliance.folder());
    let own = authority.issue("own", Key::Ec("P-256"));
    let [a, b, c, d] = form(&own.key, &own.cert);
    let upload = [a, b, c, d, appliance.https("/v1/security/sslcertificate")];
    let told = appliance.curl(&upload).ok().json();
    assert!(told["warnings"].to_string().contains("ACME has ended"), "{told}");
    off(&appliance);
    let told = appliance.curl(&upload).ok().json();
    assert!(!told.to_string().contains("ACME"), "{told}");

    set();
    let reset = ["-X", "DELETE", &appliance.https("/v1/security/reset")];
    let told = appliance.curl(&reset).ok().json();
    assert_eq!(told["message"], "nginx_restart");
    assert!(told["warnings"].to_string().contains("ACME has ended"), "{told}");
    off(&appliance);
    let told = appliance.curl(&reset).ok().json();
    assert_eq!(told, json!({"success": true, "message": "nginx_restart"}));
}

#[test]
fn a_mistake_is_refused_and_changes_nothing() {
    let appliance = Appliance::start(&Settings::v1());
    let url = appliance.https(ACME);
    appliance.post(&url, &wanted().to_string()).ok();
    let with = |member: &str, value: Value| {
        let mut body = wanted();
        body[member] = value;
        body.to_string()
    };
    for (body, what) in [
        (String::new(), "the request has no body"),
        ("[]".to_owned(), "the body is"),
        ("{}".to_owned(), "the body has no \"directory\""),
        (with("directory", json!("http://ca.example/")), "\"https://\""),
        (with("names", json!(["*.box.example"])), "challenge in the DNS"),
        (with("names", json!(vec!["box"; 101])), "100 is the most"),
        (with("challenge", json!("dns-01")), "http-01, tls-alpn-01"),
        (with("key_type", json!("rsa-1024")), "rsa-2048"),
        (with("root", json!("ca.pem")), "--rawfile"),
        (with("root", json!("-----BEGIN CERTIFICATE-----\n")), "\"root\""),
        (with("wildcard", json!(true)), "unknown key"),
        (with("external_account", json!({"kid": "a", "hmac_key": "not base64!"})), "base64url"),
        (with("external_account", json!({"kid": "a", "hmac_key": SECRET, "x": 1})), "unknown key"),
    ] {
        let told = appliance.post(&url, &body);
        assert_eq!(told.status, 400, "{body}: {told:?}");
        assert!(told.message().contains(what), "{body}: {told:?}");
        assert!(!told.out.contains(SECRET) && !told.out.contains("not base64!"), "{told:?}");
    }
    let told = appliance.read(&url).ok().json();
    assert_eq!((&told["directory"], &told["names"]), (&json!(NOBODY), &json!(["box.example"])));
}

#[test]
fn the_key_of_an_account_is_not_taken_over_plain_http() {
    let appliance = Appliance::start(&Settings::v1());
    let told = appliance.post(&appliance.management(ACME), &wanted().to_string());
    assert_eq!(told.status, 403, "{told:?}");
    assert!(told.message().contains("over HTTPS only"), "{told:?}");
    assert!(appliance.read(&appliance.management(ACME)).ok().json() == json!({"enabled": false}));
}

#[test]
fn nobody_sets_sees_or_ends_it_without_the_password() {
    let appliance = Appliance::start(&Settings::both());
    let password = appliance.https("/v1/security/adminpassword");
    appliance.post(&password, r#"{"password": "mine"}"#).ok();
    for path in [ACME, "/v2/security/acme"] {
        let url = appliance.https(path);
        for told in [
            appliance.read(&url),
            appliance.post(&url, &wanted().to_string()),
            appliance.curl(&["-X", "DELETE", &url]),
            appliance.post_as("admin", &url, &wanted().to_string()),
        ] {
            assert_eq!(told.status, 401, "{told:?}");
        }
        assert_eq!(appliance.read_as("mine", &url).ok().json(), json!({"enabled": false}));
    }
}

#[test]
fn settings_ask_for_it_until_somebody_chooses_otherwise() {
    let mut settings = Settings::both().with("acme", wanted());
    let mut appliance = Appliance::start(&settings);
    let url = appliance.https(ACME);
    let told = failing(&appliance, &url);
    assert_eq!(told["names"], json!(["box.example"]), "{told}");
    let check = appliance.program("check", &["--settings"]).ok();
    assert!(check.out.contains("kid-7") && !check.out.contains(SECRET), "{check:?}");

    appliance.curl(&["-X", "DELETE", &url]).ok();
    appliance.restart();
    off(&appliance);
    let reset = ["-X", "DELETE", &appliance.https("/v1/security/reset")];
    appliance.curl(&reset).ok();
    failing(&appliance, &url);

    // Other settings, as those of a new image, are followed; who has set it by hand keeps that.
    let mut other = wanted();
    other["names"] = json!(["other.example"]);
    settings = settings.with("acme", other);
    settings.write(&appliance.config(), appliance.folder(), &appliance.ports);
    appliance.restart();
    assert_eq!(failing(&appliance, &url)["names"], json!(["other.example"]));
    appliance.post(&url, &wanted().to_string()).ok();
    appliance.restart();
    assert_eq!(failing(&appliance, &url)["names"], json!(["box.example"]));
}

#[test]
fn settings_do_not_replace_a_certificate_that_somebody_has_uploaded() {
    let mut appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let own = authority.issue("own", Key::Ec("P-256"));
    let [a, b, c, d] = form(&own.key, &own.cert);
    appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")]).ok();
    let settings = Settings::v1().with("acme", wanted());
    settings.write(&appliance.config(), appliance.folder(), &appliance.ports);
    appliance.restart();
    off(&appliance);
}
