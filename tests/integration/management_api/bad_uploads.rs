//! Uploads that must be refused: each with a reason of its own, none with any effect.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, form, text};
use crate::support::settings::Settings;
use crate::support::tls::handshake;

/// One bad upload: what curl sends, and words of the sentence that must come back.
struct Bad {
    name: &'static str,
    arguments: Vec<String>,
    /// Any one of these, in lower case.
    says: &'static [&'static str],
    /// Uploads with the same fault may share a sentence; all others must differ.
    fault: &'static str,
}

#[test]
fn each_bad_upload_is_refused_with_its_own_reason_and_changes_nothing() {
    let mut appliance = Appliance::start(&Settings::both());
    let authority = Authority::new(appliance.folder());
    let url = appliance.https("/v1/security/sslcertificate");

    // Something uploaded stands already, so that falling back to the default would be noticed too.
    let good = authority.issue("good", Key::Ec("P-256"));
    let [a, b, c, d] = form(&good.key, &good.cert);
    appliance.curl(&[a, b, c, d, url.clone()]).ok();
    let before = handshake(appliance.ports.https).unwrap().fingerprint;

    let all = bad_uploads(&authority);
    assert!(all.len() >= 15);
    let mut sentences: BTreeMap<String, &str> = BTreeMap::new();
    for bad in all {
        let name = bad.name;
        let mut arguments = bad.arguments;
        arguments.push(url.clone());
        let answer = appliance.curl(&arguments);
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert_eq!(answer.json()["success"], false, "{name}: {answer:?}");
        let message = answer.message();
        let lower = message.to_lowercase();
        assert!(bad.says.iter().any(|words| lower.contains(words)), "{name}: {message}");
        assert!(!message.contains("PRIVATE KEY-----"), "{name} gives the key away: {message}");
        let other = sentences.insert(message.clone(), bad.fault);
        assert!(
            other.is_none_or(|other| other == bad.fault),
            "{name} sounds like another: {message}"
        );
        let now = handshake(appliance.ports.https).unwrap().fingerprint;
        assert_eq!(now, before, "{name} changed the certificate");
    }
    // Nor does any of it lie in wait for the next start.
    appliance.restart();
    assert_eq!(handshake(appliance.ports.https).unwrap().fingerprint, before);
}

fn bad_uploads(authority: &Authority) -> Vec<Bad> {
    let mut all = incomplete(authority);
    all.extend(unreadable_keys(authority));
    all.extend(unusable_certificates(authority));
    all
}

fn pair(name: &'static str, key: &Path, cert: &Path, says: &'static [&'static str]) -> Bad {
    Bad { name, arguments: form(key, cert).to_vec(), says, fault: name }
}

/// Parts that are missing, empty, swapped or something else altogether.
fn incomplete(authority: &Authority) -> Vec<Bad> {
    let one = authority.issue("incomplete", Key::Ec("P-256"));
    let [_, keyfile, _, certfile] = form(&one.key, &one.cert);
    let empty = authority.file("empty", b"");
    let prose = authority.file("prose", b"this is no PEM at all\n");
    let der_key = authority.rewrite("der.key", "pkey", &one.key, &["-outform", "DER"]);
    let der_cert = authority.rewrite("der.crt", "x509", &one.cert, &["-outform", "DER"]);
    let public = authority.rewrite("public.pem", "pkey", &one.key, &["-pubout"]);
    let raw = |name, arguments: &[&str], says, fault| Bad {
        name,
        arguments: arguments.iter().map(ToString::to_string).collect(),
        says,
        fault,
    };
    vec![
        raw("no keyfile part", &["-F", &certfile], &["keyfile"], "no keyfile part"),
        raw("no certfile part", &["-F", &keyfile], &["certfile"], "no certfile part"),
        raw(
            "a file for the chain",
            &["-F", &keyfile, "-F", &certfile, "-F", &certfile.replace("certfile", "chainfile")],
            &["chain belongs into certfile"],
            "a file for the chain",
        ),
        raw("other part names", &["-F", "a=b"], &["certfile"], "no certfile part"),
        raw(
            "no multipart",
            &["-H", "Content-Type: application/json", "-d", "{}"],
            &["multipart"],
            "no multipart",
        ),
        Bad {
            fault: "keyfile is not PEM",
            ..pair("empty keyfile", &empty, &one.cert, &["keyfile"])
        },
        Bad {
            fault: "certfile is not PEM",
            ..pair("empty certfile", &one.key, &empty, &["certfile"])
        },
        Bad { fault: "keyfile is not PEM", ..pair("prose as key", &prose, &one.cert, &["pem"]) },
        Bad {
            fault: "certfile is not PEM",
            ..pair("prose as certificate", &one.key, &prose, &["pem"])
        },
        Bad { fault: "keyfile is not PEM", ..pair("DER key", &der_key, &one.cert, &["pem"]) },
        Bad {
            fault: "certfile is not PEM",
            ..pair("DER certificate", &one.key, &der_cert, &["pem"])
        },
        pair("no key in keyfile", &one.cert, &one.cert, &["no private key", "no key", "holds no"]),
        pair("no certificate in certfile", &one.key, &public, &["no certificate", "holds no"]),
        Bad {
            fault: "no key in keyfile",
            ..pair("swapped", &one.cert, &one.key, &["keyfile", "certfile"])
        },
    ]
}

/// Keys that can't be used, or not with that certificate.
fn unreadable_keys(authority: &Authority) -> Vec<Bad> {
    let rsa = authority.issue("rsa-key", Key::Rsa(2048));
    let other = authority.issue("other", Key::Rsa(2048));
    let ec = authority.issue("ec-key", Key::Ec("P-256"));
    let two = authority.chain("two.key", &[&rsa.key, &other.key]);
    let modern =
        authority.rewrite("modern.key", "pkey", &rsa.key, &["-aes256", "-passout", "pass:x"]);
    let legacy_options = ["-traditional", "-aes256", "-passout", "pass:x"];
    let legacy = authority.rewrite("legacy.key", "rsa", &rsa.key, &legacy_options);
    assert!(std::fs::read_to_string(&modern).unwrap().contains("BEGIN ENCRYPTED PRIVATE KEY"));
    assert!(std::fs::read_to_string(&legacy).unwrap().contains("Proc-Type: 4,ENCRYPTED"));
    let whole = std::fs::read_to_string(&rsa.key).unwrap();
    let torn: Vec<&str> =
        whole.lines().enumerate().filter(|(n, _)| !(5..15).contains(n)).map(|(_, l)| l).collect();
    let torn = authority.file("torn.key", torn.join("\n").as_bytes());
    let encrypted: &[&str] = &["encrypted private keys are not supported"];
    let wrong: &[&str] = &["does not belong", "doesn't belong", "does not match"];
    vec![
        pair("two keys", &two, &rsa.cert, &["two", "more than one", "2 private keys"]),
        Bad { fault: "encrypted", ..pair("encrypted PKCS#8 key", &modern, &rsa.cert, encrypted) },
        Bad { fault: "encrypted", ..pair("encrypted legacy key", &legacy, &rsa.cert, encrypted) },
        Bad {
            fault: "wrong key",
            ..pair("key of another certificate", &other.key, &rsa.cert, wrong)
        },
        Bad { fault: "wrong key", ..pair("key of another kind", &ec.key, &rsa.cert, wrong) },
        pair("key with lines missing", &torn, &rsa.cert, &["key"]),
    ]
}

/// Certificates out of order, out of date or of a kind that isn't taken.
fn unusable_certificates(authority: &Authority) -> Vec<Bad> {
    let intermediate = authority.intermediate("middle");
    let leaf = intermediate.issue("leaf", Key::Ec("P-256"));
    let (middle, root) = (intermediate.root(), authority.root());
    let skipped = authority.chain("root-before-middle.crt", &[&leaf.cert, root, middle]);
    let stranger = authority.issue("stranger", Key::Ec("P-256"));
    let unrelated = authority.chain("unrelated.crt", &[&leaf.cert, &stranger.cert]);
    let expired = authority.issue_dated("expired", "20200101000000Z", "20210101000000Z");
    let early = authority.issue_dated("early", "20800101000000Z", "20810101000000Z");
    let short = authority.issue("short", Key::Rsa(1024));
    let curve = authority.issue("curve", Key::Ec("P-521"));
    let usage = |name, bits: &str| {
        authority.certify(name, Key::Rsa(2048), &format!("keyUsage=critical,{bits}\n"))
    };
    let encipher = usage("encipher", "keyEncipherment,dataEncipherment");
    let issuing = usage("issuing", "keyCertSign,cRLSign");
    let goldilocks = authority.issue("goldilocks", Key::Ed448);
    let whole = std::fs::read_to_string(&leaf.cert).unwrap();
    let torn: Vec<&str> =
        whole.lines().enumerate().filter(|(n, _)| *n != 3).map(|(_, l)| l).collect();
    let torn = authority.file("torn.crt", torn.join("\n").as_bytes());
    let quoted = std::fs::read_to_string(middle).unwrap().replace('\n', "\n> ");
    let quoted = format!("{}> {quoted}", std::fs::read_to_string(&leaf.cert).unwrap());
    let quoted = authority.file("quoted.crt", quoted.as_bytes());
    let order: &[&str] = &["order"];
    let unsupported: &[&str] = &["not supported", "unsupported", "p-521", "ed448"];
    vec![
        Bad { fault: "order", ..pair("root before intermediate", &leaf.key, &skipped, order) },
        Bad {
            fault: "order",
            ..pair("an unrelated certificate in the chain", &leaf.key, &unrelated, order)
        },
        pair("an intermediate quoted by a mail", &leaf.key, &quoted, &["stands before"]),
        pair("expired", &expired.key, &expired.cert, &["2021"]),
        pair("not yet valid", &early.key, &early.cert, &["2080"]),
        pair("RSA of 1024 bits", &short.key, &short.cert, &["2048"]),
        Bad { fault: "algorithm", ..pair("ECDSA on P-521", &curve.key, &curve.cert, unsupported) },
        Bad {
            fault: "usage",
            ..pair("keys enciphered", &encipher.key, &encipher.cert, &["digitalsignature"])
        },
        Bad {
            fault: "usage",
            ..pair("certificates signed", &issuing.key, &issuing.cert, &["digitalsignature"])
        },
        Bad { fault: "algorithm", ..pair("Ed448", &goldilocks.key, &goldilocks.cert, unsupported) },
        pair("certificate with a line missing", &leaf.key, &torn, &["certificate", "certfile"]),
    ]
}

#[test]
fn a_refused_encrypted_key_comes_with_the_command_that_removes_the_passphrase() {
    let appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let one = authority.issue("one", Key::Rsa(2048));
    let locked =
        authority.rewrite("locked.key", "pkey", &one.key, &["-aes256", "-passout", "pass:x"]);
    let [a, b, c, d] = form(&locked, &one.cert);
    let refused = appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")]);
    assert!(refused.message().contains("openssl"), "{refused:?}");
}

#[test]
fn an_upload_over_1_mib_is_answered_413_and_changes_nothing() {
    let appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let one = authority.issue("one", Key::Ec("P-256"));
    let before = handshake(appliance.ports.https).unwrap();
    let mut long = std::fs::read(&one.cert).unwrap();
    long.extend(std::iter::repeat_n(b'\n', 1024 * 1024 + 1));
    let long = authority.file("long.crt", &long);
    let [a, b, c, d] = form(&one.key, &long);
    let refused = appliance.curl(&[a, b, c, d, appliance.https("/v1/security/sslcertificate")]);
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(refused.json()["success"], false, "{refused:?}");
    assert_eq!(handshake(appliance.ports.https).unwrap(), before);
}

#[test]
fn an_upload_over_plain_http_is_refused_with_403_and_the_advice_to_make_a_new_key() {
    for (settings, path) in [
        (Settings::v1(), "/v1/security/sslcertificate"),
        (Settings::v2(), "/v2/security/sslcertificate"),
    ] {
        let appliance = Appliance::start(&settings);
        let one = Authority::new(appliance.folder()).issue("one", Key::Ec("P-256"));
        let before = handshake(appliance.ports.https).unwrap();
        for url in [appliance.http(path), appliance.management(path)] {
            let [a, b, c, d] = form(&one.key, &one.cert);
            let refused = appliance.curl(&["-u".into(), "admin:admin".into(), a, b, c, d, url]);
            assert_eq!(refused.status, 403, "{refused:?}");
            assert_eq!(refused.json()["success"], false, "{refused:?}");
            assert!(refused.message().contains("new"), "{refused:?}");
        }
        assert_eq!(handshake(appliance.ports.https).unwrap(), before);
    }
}

#[test]
fn no_part_of_an_uploaded_key_or_password_is_ever_logged() {
    let appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let one = authority.issue("one", Key::Ec("P-256"));
    let url = appliance.https("/v1/security/sslcertificate");
    let [a, b, c, d] = form(&one.key, &one.cert);
    appliance.curl(&[a, b, c, d, url.clone()]).ok();
    appliance.curl(&["-F", &format!("keyfile=@{}", text(&one.key)), &url]);
    appliance
        .post(&appliance.https("/v1/security/adminpassword"), r#"{"password": "hush hush"}"#)
        .ok();
    appliance.read_as("hush hush", &appliance.https("/v1/management/services")).ok();
    let key = std::fs::read_to_string(&one.key).unwrap();
    let log = appliance.log();
    assert!(log.contains(" security "), "nothing was logged at all:\n{log}");
    assert!(!log.contains(key.lines().nth(1).unwrap()) && !log.contains("hush hush"), "{log}");
    assert!(!log.contains("aHVzaCBodXNo") && !log.contains("YWRtaW46"), "{log}");
}
