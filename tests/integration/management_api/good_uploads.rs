//! Uploads that must be taken: every documented form of key and every kind of chain.

use std::path::{Path, PathBuf};

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, fingerprint, form};
use crate::support::settings::Settings;
use crate::support::tls::handshake;

/// Uploads, and checks as a user would: the machine trusts the root and curl needs no --insecure.
#[track_caller]
fn taken(appliance: &mut Appliance, authority: &Authority, name: &str, key: &Path, cert: &Path) {
    let [a, b, c, d] = form(key, cert);
    let url = appliance.https("/v1/security/sslcertificate");
    let answer = appliance.curl(&[a, b, c, d, url]);
    assert_eq!(answer.status, 200, "{name}: {answer:?}");
    let shown = handshake(appliance.ports.https).unwrap().fingerprint;
    assert_eq!(shown, fingerprint(cert), "{name}");
    appliance.trust(authority.root());
    let checked = appliance.page(r#"curl "https://${APPLIANCE_HOST}/v1/management/services""#);
    assert_eq!((checked.code, checked.status), (0, 200), "{name}: {checked:?}");
    appliance.distrust();
}

#[test]
fn keys_of_every_documented_algorithm_and_form_are_taken() {
    let mut appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let rsa = authority.issue("rsa", Key::Rsa(2048));
    let p256 = authority.issue("p256", Key::Ec("P-256"));
    let p384 = authority.issue("p384", Key::Ec("P-384"));
    let ed25519 = authority.issue("ed25519", Key::Ed25519);
    let pkcs1 = authority.rewrite("pkcs1.key", "rsa", &rsa.key, &["-traditional"]);
    let sec1 = authority.rewrite("sec1.key", "ec", &p256.key, &[]);
    let sec1_384 = authority.rewrite("sec1-384.key", "ec", &p384.key, &[]);
    let starts = |file: &PathBuf, label: &str| {
        let content = std::fs::read_to_string(file).unwrap();
        assert!(content.starts_with(&format!("-----BEGIN {label}-----")), "{content}");
    };
    starts(&rsa.key, "PRIVATE KEY");
    starts(&pkcs1, "RSA PRIVATE KEY");
    starts(&sec1, "EC PRIVATE KEY");

    for (name, key, cert) in [
        ("RSA, PKCS#8", &rsa.key, &rsa.cert),
        ("RSA, PKCS#1", &pkcs1, &rsa.cert),
        ("P-256, PKCS#8", &p256.key, &p256.cert),
        ("P-256, SEC1", &sec1, &p256.cert),
        ("P-384, PKCS#8", &p384.key, &p384.cert),
        ("P-384, SEC1", &sec1_384, &p384.cert),
        ("Ed25519, PKCS#8", &ed25519.key, &ed25519.cert),
    ] {
        taken(&mut appliance, &authority, name, key, cert);
    }
}

#[test]
fn files_as_other_tools_write_them_are_taken() {
    let mut appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let one = authority.issue("one", Key::Ec("P-256"));
    let windows = |file: &Path| std::fs::read_to_string(file).unwrap().replace('\n', "\r\n");
    let windows_key = authority.file("windows.key", windows(&one.key).as_bytes());
    let windows_cert = authority.file("windows.crt", windows(&one.cert).as_bytes());
    // `openssl ecparam -genkey` writes the curve in a block of its own before the key.
    let sec1 = authority.rewrite("sec1.key", "ec", &one.key, &[]);
    let curve = authority.rewrite("curve.pem", "ec", &one.key, &["-param_out"]);
    let with_curve = authority.chain("with-curve.key", &[&curve, &sec1]);
    // `openssl x509 -text` and many vendors put readable text before the block.
    let with_text = authority.rewrite("text.crt", "x509", &one.cert, &["-text"]);
    // `echo $(cat FILE)`
    let one_line = |file: &Path| std::fs::read_to_string(file).unwrap().replace('\n', " ");
    let echoed_key = authority.file("echoed.key", one_line(&one.key).as_bytes());
    let echoed_cert = authority.file("echoed.crt", one_line(&one.cert).as_bytes());
    assert!(std::fs::read_to_string(&with_curve).unwrap().starts_with("-----BEGIN EC PARAMETERS"));
    assert!(std::fs::read_to_string(&with_text).unwrap().starts_with("Certificate:"));

    taken(&mut appliance, &authority, "lines that end in CR LF", &windows_key, &windows_cert);
    taken(&mut appliance, &authority, "key on one line", &echoed_key, &one.cert);
    let [a, b, c, d] = form(&echoed_key, &echoed_cert);
    appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")]).ok();
    let shown = handshake(appliance.ports.https).unwrap().fingerprint;
    assert_eq!(shown, fingerprint(&one.cert), "both on one line");
    taken(&mut appliance, &authority, "curve before the key", &with_curve, &one.cert);
    taken(&mut appliance, &authority, "text before the certificate", &one.key, &with_text);
}

#[test]
fn chains_with_and_without_their_root_are_taken_and_sent() {
    let mut appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let first = authority.intermediate("first");
    let second = first.intermediate("second");
    let leaf = second.issue("leaf", Key::Ec("P-256"));
    let (one, two, root) = (second.root(), first.root(), authority.root());
    let without = authority.chain("without-root.crt", &[&leaf.cert, one, two]);
    let with = authority.chain("with-root.crt", &[&leaf.cert, one, two, root]);
    // The user's machine knows only the root: curl succeeds because the appliance sends the chain.
    taken(&mut appliance, &authority, "without the root", &leaf.key, &without);
    taken(&mut appliance, &authority, "with the root", &leaf.key, &with);
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let (leaf_text, one_text, two_text) = (read(&leaf.cert), read(one), read(two));
    for (name, text) in [
        (
            "no line end at the end of a file",
            [leaf_text.trim_end(), one_text.trim_end(), &two_text],
        ),
        ("a byte order mark", [&leaf_text, &format!("\u{feff}{one_text}"), &two_text]),
        ("blanks", [&leaf_text, &format!(" \t{one_text}"), &format!("\u{a0}{two_text}")]),
    ] {
        let chain = authority.file("mended.crt", text.concat().as_bytes());
        taken(&mut appliance, &authority, name, &leaf.key, &chain);
        let told = appliance.read(&appliance.https("/v1/security/sslcertificate")).ok();
        assert_eq!(told.json()["chain_length"], 3, "{name}");
    }
}

#[test]
fn pkcs7_is_refused_with_a_command_that_makes_of_it_what_is_taken() {
    let mut appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let middle = authority.intermediate("middle");
    let leaf = middle.issue("leaf", Key::Ec("P-256"));
    let chain = authority.chain("chain.crt", &[&leaf.cert, middle.root()]);
    for (out, label) in [("DER", ""), ("PEM", ""), ("PEM", "CERTIFICATE")] {
        let made = appliance.shell(&format!(
            "openssl crl2pkcs7 -nocrl -certfile {} -outform {out} -out appliance.p7b",
            chain.display()
        ));
        assert_eq!(made.code, 0, "{made:?}");
        if !label.is_empty() {
            appliance.shell(&format!("sed -i s/PKCS7/{label}/ appliance.p7b"));
        }
        let url = appliance.https("/v1/security/sslcertificate");
        let [a, b, c, d] = form(&leaf.key, &appliance.folder().join("appliance.p7b"));
        let refused = appliance.curl(&[a, b, c, d, url]);
        assert_eq!(refused.status, 400, "{refused:?}");
        let message = refused.message();
        let command = message.split('`').find(|words| words.starts_with("openssl pkcs7"));
        let converted = appliance.shell(command.unwrap_or_else(|| panic!("{message}")));
        assert_eq!(converted.code, 0, "{converted:?}");
        let converted = appliance.folder().join("appliance.crt");
        taken(&mut appliance, &authority, label, &leaf.key, &converted);
    }
}

#[test]
fn the_appliance_tells_about_the_certificate_it_uses() {
    let appliance = Appliance::start(&Settings::both());
    let url = appliance.https("/v1/security/sslcertificate");
    assert_eq!(appliance.read(&url).ok().json()["source"], "default");
    let one = Authority::new(appliance.folder()).issue("one", Key::Ec("P-256"));
    let [a, b, c, d] = form(&one.key, &one.cert);
    appliance.curl(&[a, b, c, d, url.clone()]).ok();
    let told = appliance.read(&url).ok();
    assert_eq!(told.json()["source"], "uploaded", "{told:?}");
    let expected = fingerprint(&one.cert);
    assert!(told.out.to_lowercase().replace(':', "").contains(&expected), "{expected}: {told:?}");
    for words in ["CN=one", "Test Root", "localhost"] {
        assert!(told.out.contains(words), "{words}: {told:?}");
    }
    assert!(!told.out.contains("PRIVATE"), "{told:?}");
}
