//! Certificates that are taken although some client will suffer, and are told of wherever somebody may look.

use crate::support::appliance::Appliance;
use crate::support::certificates::{Authority, Key, Pair, form};
use crate::support::settings::Settings;

const MESSAGE: &str = "certificate and private_key applied successfully";
const LEAF: &str = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n";
const HERE: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1\n";

/// Uploads it with its root behind; what the answer warns of.
#[track_caller]
fn upload(appliance: &Appliance, authority: &Authority, pair: &Pair) -> Vec<String> {
    authority.complete(&pair.cert);
    upload_as_it_is(appliance, pair)
}

#[track_caller]
fn upload_as_it_is(appliance: &Appliance, pair: &Pair) -> Vec<String> {
    let [a, b, c, d] = form(&pair.key, &pair.cert);
    let url = appliance.https("/v1/security/sslcertificate");
    let answer = appliance.curl(&[a, b, c, d, url]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!((&told["success"], &told["message"]), (&true.into(), &MESSAGE.into()), "{told}");
    strings(&told["warnings"])
}

fn strings(list: &serde_json::Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_certificate_that_hurts_some_client_is_taken_with_a_warning() {
    let appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let good = authority.issue("good", Key::Ec("P-256"));
    assert_eq!(upload(&appliance, &authority, &good), Vec::<String>::new());

    let p256 = Key::Ec("P-256");
    let elsewhere = "subjectAltName=DNS:box.example,DNS:*.lan\n";
    for (name, key, extensions, warning) in [
        ("ed25519", Key::Ed25519, format!("{LEAF}{HERE}"), "no browser supports"),
        ("nameless", p256, LEAF.to_owned(), "no subjectAltName"),
        ("elsewhere", p256, format!("{LEAF}{elsewhere}"), "not valid for 127.0.0.1, the name"),
        (
            "client",
            p256,
            format!("basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n{HERE}"),
            "lacks serverAuth",
        ),
        ("authority", p256, format!("basicConstraints=CA:TRUE\n{HERE}"), "CA:TRUE"),
    ] {
        let told = upload(&appliance, &authority, &authority.certify(name, key, &extensions));
        assert_eq!(told.len(), 1, "{name}: {told:?}");
        assert!(told[0].contains(warning), "{name}: {told:?}");
    }

    let lonely = authority.issue("lonely", p256);
    let told = upload_as_it_is(&appliance, &lonely);
    assert!(
        matches!(told.as_slice(), [one] if one.contains("CN=Test Root, is not in")),
        "{told:?}"
    );
}

#[test]
fn a_certificate_whose_end_is_near_is_told_of_wherever_somebody_looks() {
    let mut appliance = Appliance::start(&Settings::v1());
    let authority = Authority::new(appliance.folder());
    let end = openssl_date(20);
    let pair = authority.issue_dated("ending", "20260101000000Z", &end);
    let told = upload(&appliance, &authority, &pair);
    let warned = |text: &str| text.contains("in less than 30 days: upload a renewed one");
    assert!(matches!(told.as_slice(), [one] if warned(one)), "{told:?}");

    let url = appliance.https("/v1/security/sslcertificate");
    let shown = appliance.curl(&[url]).json();
    assert!(matches!(strings(&shown["warnings"]).as_slice(), [one] if warned(one)), "{shown}");
    let look = |appliance: &Appliance, word: &str| {
        let output = appliance.command(word).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let status = look(&appliance, "status");
    assert!(status.contains("warning: the certificate ends at ") && warned(&status), "{status}");
    appliance.stop();
    for word in ["status", "check"] {
        let text = look(&appliance, word);
        assert!(text.contains("warning: the certificate ends at ") && warned(&text), "{text}");
    }
}

/// So many days from now, as `openssl ca -enddate` wants it.
fn openssl_date(days: u32) -> String {
    let days = format!("+{days} days");
    let output =
        std::process::Command::new("date").args(["-u", "-d", &days, "+%Y%m%d%H%M%SZ"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}
