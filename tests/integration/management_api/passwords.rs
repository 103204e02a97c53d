//! Passwords with other letters than ASCII, as different clients send them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::appliance::Appliance;
use crate::support::settings::Settings;

/// With letters that Latin-1 has, as one character each (NFC) and taken apart (NFD).
const COMPOSED: &str = "gr\u{fc}n, caf\u{e9}";
const APART: &str = "gru\u{308}n, cafe\u{301}";

fn set(appliance: &Appliance, known: &str, password: &str) {
    let url = appliance.https("/v2/security/adminpassword");
    appliance.post_as(known, &url, &serde_json::json!({"password": password}).to_string()).ok();
}

/// What comes of exactly these bytes.
fn status_of(appliance: &Appliance, password: &[u8]) -> u16 {
    let pair = BASE64_STANDARD.encode([b"admin:", password].concat());
    let url = appliance.https("/v2/management/host/about");
    appliance.curl(&["-H", &format!("Authorization: Basic {pair}"), &url]).status
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(letter).unwrap()).collect()
}

#[test]
fn a_password_fits_in_utf8_in_latin1_and_in_both_normal_forms() {
    let appliance = Appliance::start(&Settings::v2());
    let about = appliance.https("/v2/management/host/about");
    let mut known = "admin".to_owned();
    for password in [COMPOSED, APART] {
        set(&appliance, &known, password);
        password.clone_into(&mut known);
        assert_eq!(appliance.read_as(COMPOSED, &about).status, 200, "{password}");
        assert_eq!(appliance.read_as(APART, &about).status, 200, "{password}");
        assert_eq!(status_of(&appliance, &latin1(COMPOSED)), 200, "{password}");
        for wrong in ["gr\u{fa}n, caf\u{e9}", "grun, cafe", "gr\u{fc}n, caf"] {
            assert_eq!(appliance.read_as(wrong, &about).status, 401, "{wrong}");
        }
        assert_eq!(status_of(&appliance, b"gr\xfan, caf\xe9"), 401, "{password}");
    }
}

#[test]
fn a_file_by_htpasswd_fits_too_and_letters_beyond_latin1_need_utf8() {
    let password = "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} \u{bd80}\u{c0b0} \u{1f511}";
    let hash = bcrypt::hash_with_result(password, 4).unwrap();
    let line = format!("admin:{}\n", hash.format_for_version(bcrypt::Version::TwoY));
    let mut appliance = Appliance::start(&Settings::v2());
    appliance.stop();
    std::fs::write(appliance.state("admin.htpasswd"), line).unwrap();
    appliance.launch();
    assert_eq!(status_of(&appliance, password.as_bytes()), 200);
    let apart = password.replace("\u{bd80}\u{c0b0}", "\u{1107}\u{116e}\u{1109}\u{1161}\u{11ab}");
    assert_eq!(status_of(&appliance, apart.as_bytes()), 200);
    assert_eq!(status_of(&appliance, b"?????? ?? ?"), 401);
}

#[test]
fn a_password_has_at_most_72_bytes_however_its_letters_are_written() {
    let appliance = Appliance::start(&Settings::v2());
    set(&appliance, "admin", &"u\u{308}".repeat(36)); // 108 bytes, 72 of them composed
    assert_eq!(status_of(&appliance, &latin1(&"\u{fc}".repeat(36))), 200);
    let url = appliance.https("/v2/security/adminpassword");
    let long = format!(r#"{{"password": "{}"}}"#, "u\u{308}".repeat(37));
    let refused = appliance.post_as(&"\u{fc}".repeat(36), &url, &long);
    assert!(refused.status == 400 && refused.message().contains("74 bytes"), "{refused:?}");
}
