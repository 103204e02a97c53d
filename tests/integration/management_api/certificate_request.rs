//! A key that is made on the appliance and never leaves it.

use std::path::Path;

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, fingerprint, text};
use crate::support::command::openssl;
use crate::support::settings::Settings;
use crate::support::tls::handshake;

const REQUEST: &str = "/v1/security/certificaterequest";
const PEM: &str = "Accept: application/x-pem-file";

/// Sends a certificate without a key.
fn apply(appliance: &Appliance, cert: &Path) -> crate::support::command::Output {
    let file = format!("certfile=@{}", text(cert));
    appliance.curl(&["-X", "POST", &appliance.https("/v1/security/sslcertificate"), "-F", &file])
}

fn settings() -> Settings {
    Settings::both()
}

#[test]
fn a_request_that_curl_saves_is_signed_by_openssl_and_its_certificate_needs_no_key() {
    let mut appliance = Appliance::start(&settings());
    let authority = Authority::new(appliance.folder());
    for (key_type, wanted) in [
        ("rsa-2048", "RSA-2048"),
        ("rsa-3072", "RSA-3072"),
        ("ecdsa-p256", "ECDSA-P256"),
        ("ecdsa-p384", "ECDSA-P384"),
    ] {
        let file = appliance.folder().join(format!("{key_type}.csr"));
        let body = format!(
            r#"{{"names": ["localhost", "127.0.0.1", "*.box.example"], "key_type": "{key_type}",
                "subject": {{"C": "de", "O": "Bücher & Söhne", "CN": "localhost"}}}}"#
        );
        let url = appliance.https(REQUEST);
        let asked = ["-X", "POST", &url, "-d", &body, "-H", PEM, "-o", text(&file)];
        appliance.curl(&asked).ok();
        let told = openssl(
            appliance.folder(),
            &[
                "req",
                "-in",
                text(&file),
                "-noout",
                "-verify",
                "-text",
                "-nameopt",
                "RFC2253,utf8,-esc_msb",
            ],
        );
        for piece in [
            "CN=localhost,O=Bücher & Söhne,C=DE",
            "DNS:localhost, IP Address:127.0.0.1, DNS:*.box.example",
        ] {
            assert!(told.out.contains(piece), "{piece}: {told:?}");
        }
        let pending = appliance.read(&url).ok().json();
        assert_eq!((&pending["pending"], &pending["key_type"]), (&true.into(), &wanted.into()));

        appliance.restart();
        let request = std::fs::read_to_string(&file).unwrap();
        assert_eq!(appliance.read(&url).ok().json()["request"], request.as_str());
        let cert = authority.sign(key_type, &request);
        let applied = apply(&appliance, &cert).ok();
        assert_eq!(applied.message(), "certificate and private_key applied successfully");
        assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, fingerprint(&cert));
        appliance.trust(authority.root());
        assert_eq!(
            appliance.page(r#"curl "https://${APPLIANCE_HOST}/v1/management/ping""#).code,
            0
        );
        appliance.distrust();
        assert_eq!(appliance.read(&url).ok().json()["pending"], false);
        // A renewal for the key in force.
        apply(&appliance, &authority.sign(&format!("{key_type}-again"), &request)).ok();
    }
}

#[test]
fn a_certificate_of_another_key_is_refused_with_the_keys_that_would_fit() {
    let appliance = Appliance::start(&settings());
    let authority = Authority::new(appliance.folder());
    let other = authority.issue("other", Key::Ec("P-256"));
    let told = apply(&appliance, &other.cert);
    assert_eq!(told.status, 400, "{told:?}");
    assert!(told.message().contains("a key that the appliance doesn't have"), "{told:?}");

    let pending = appliance.post(&appliance.https(REQUEST), "").ok().json();
    let told = apply(&appliance, &other.cert).message();
    let created = pending["created"].as_str().unwrap();
    assert!(told.contains(&format!("the pending request, made at {created}")), "{told}");
    assert!(told.contains(pending["key_sha256"].as_str().unwrap()), "{told}");
    assert_eq!(
        appliance.read(&appliance.https(REQUEST)).ok().json(),
        pending,
        "nothing was changed"
    );
}

#[test]
fn a_second_request_does_not_destroy_the_key_of_the_first() {
    let appliance = Appliance::start(&settings());
    let url = appliance.https(REQUEST);
    let first = appliance.post(&url, r#"{"key_type": "ecdsa-p256"}"#).ok().json();
    let second = appliance.post(&url, "");
    assert_eq!(second.status, 409, "{second:?}");
    assert!(second.message().contains("DELETE certificaterequest"), "{second:?}");
    assert_eq!(appliance.read(&url).ok().json(), first);
    appliance.curl(&["-X", "DELETE", &url]).ok();
    assert_eq!(appliance.curl(&["-H", PEM, &url]).status, 404);
    appliance.post(&url, "").ok();
}

#[test]
fn one_file_with_certificate_and_key_is_enough() {
    let appliance = Appliance::start(&settings());
    let authority = Authority::new(appliance.folder());
    let pair = authority.issue("pair", Key::Ec("P-256"));
    let both = authority.chain("both.pem", &[&pair.key, &pair.cert]);
    apply(&appliance, &both).ok();
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, fingerprint(&pair.cert));
}

#[test]
fn a_pfx_file_is_refused_with_a_command_that_makes_of_it_what_is_taken() {
    let appliance = Appliance::start(&settings());
    let authority = Authority::new(appliance.folder());
    let pair = authority.issue("pair", Key::Rsa(2048));
    let (key, cert) = (text(&pair.key), text(&pair.cert));
    let folder = appliance.folder();
    for (name, extra) in [("new", &[][..]), ("old", &["-legacy"])] {
        let file = folder.join(format!("{name}.p12"));
        let made = [
            "pkcs12",
            "-export",
            "-inkey",
            key,
            "-in",
            cert,
            "-passout",
            "pass:x",
            "-out",
            text(&file),
        ];
        openssl(folder, &[&made[..], extra].concat());
        let part = format!("p12file=@{}", text(&file));
        let url = appliance.https("/v1/security/sslcertificate");
        for part in [part.clone(), part.replace("p12file", "certfile")] {
            let told = appliance.curl(&["-X", "POST", &url, "-F", &part]);
            assert_eq!(told.status, 400, "{told:?}");
            assert!(
                told.message().contains("`openssl pkcs12 -in appliance.p12 -nodes -out"),
                "{told:?}"
            );
        }
        let pem = folder.join(format!("{name}.pem"));
        let said =
            ["pkcs12", "-in", text(&file), "-nodes", "-out", text(&pem), "-passin", "pass:x"];
        openssl(folder, &[&said[..], extra].concat());
        apply(&appliance, &pem).ok();
        assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, fingerprint(&pair.cert));
    }
}

#[test]
fn what_is_wrong_with_a_request_is_told_and_its_words_are_not() {
    let appliance = Appliance::start(&settings());
    let url = appliance.https(REQUEST);
    for (body, wanted) in [
        (r#"{"names": "hush"}"#, "\"names\" is not a list"),
        (r#"{"names": [7]}"#, "something else than strings"),
        (r#"{"names": ["box", "hush hush"]}"#, "name 2 of \"names\""),
        (r#"{"subject": {"hush": "x"}}"#, "\"subject\" has an unknown key"),
        (r#"{"subject": {"C": "hush"}}"#, "\"C\" of \"subject\""),
        (r#"{"subject": "hush"}"#, "\"subject\" is not an object"),
        (r#"{"key_type": "hush"}"#, "rsa-2048, rsa-3072, ecdsa-p256, ecdsa-p384"),
        (r#"{"hush": 1}"#, "an unknown key"),
        (r#"["hush"]"#, "not an object"),
    ] {
        let told = appliance.post(&url, body);
        assert_eq!(told.status, 400, "{told:?}");
        assert!(told.message().contains(wanted) && !told.out.contains("hush"), "{told:?}");
    }
    assert_eq!(appliance.read(&url).ok().json()["pending"], false);
}
