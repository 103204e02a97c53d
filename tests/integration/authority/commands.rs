//! The vendor's desk: making licenses, looking at them, changing them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::authority::fixture::sell;
use crate::support::vendor::Vendor;

#[test]
fn a_license_is_made_listed_shown_and_reported() {
    let vendor = Vendor::init();
    let expires = "2099-10-16T12:26:37Z";
    #[rustfmt::skip]
    let code = vendor.ok(&["create", "--secs", "1800000", "--cache", "3600", "--expires", expires]);
    assert!(code.len() == 18 && code.starts_with("4949"), "{code}");
    assert!(code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let other =
        sell(&vendor, &["--trial", "--activations", "3", "--product", "100", "--offline-mode"]);
    assert_ne!(code, other);

    let listed: Value = serde_json::from_str(&vendor.ok(&["list", "--json"])).unwrap();
    let mut codes: Vec<&str> =
        listed.as_array().unwrap().iter().map(|l| l["license"].as_str().unwrap()).collect();
    codes.sort_unstable();
    let mut wanted = vec![code.as_str(), other.as_str()];
    wanted.sort_unstable();
    assert_eq!(codes, wanted);
    assert!(vendor.ok(&["list"]).contains(&code));

    let shown = vendor.show(&code);
    for (name, value) in [
        ("license", json!(code)),
        ("status", json!("active")),
        ("product", json!("103")),
        ("expires", json!(expires)),
        ("secs_allocated", json!(1_800_000)),
        ("secs_left", json!(1_800_000)),
        ("cache", json!(3_600)),
        ("activations", json!(1)),
        ("offline_mode", json!(false)),
        ("trial", json!(false)),
        ("audit", json!("1 entries, intact")),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let report: Value = serde_json::from_str(&vendor.ok(&["report", "--json"])).unwrap();
    assert_eq!(report["total"]["licenses"], 2);
    assert_eq!(report["total"]["secs_allocated"], 1_801_000);
    assert!(vendor.ok(&["report"]).contains("issuer_days_left"));
}

#[test]
fn many_licenses_are_made_at_once_one_code_a_line() {
    let vendor = Vendor::init();
    let codes = sell(&vendor, &["--count", "3", "--activations", "2"]);
    let mut codes: Vec<&str> = codes.lines().collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), 3);
    let listed: Value = serde_json::from_str(&vendor.ok(&["list", "--json"])).unwrap();
    let listed = listed.as_array().unwrap();
    let mut found: Vec<&str> = listed.iter().map(|l| l["license"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, codes);
    assert!(listed.iter().all(|license| license["activations"] == 2), "{listed:?}");

    let one: Value = serde_json::from_str(&sell(&vendor, &["--json"])).unwrap();
    assert_eq!(one["license"].as_str().unwrap().len(), 18);
    let array: Value = serde_json::from_str(&sell(&vendor, &["--json", "--count", "1"])).unwrap();
    assert_eq!(array[0]["license"].as_str().unwrap().len(), 18);
}

#[test]
fn a_license_is_extended_suspended_resumed_and_revoked() {
    let vendor = Vendor::init();
    let code = sell(&vendor, &[]);
    vendor.ok(&["extend", &code, "--secs", "500", "--expires", "2098-01-01T00:00:00Z"]);
    let shown = vendor.show(&code);
    assert_eq!(
        (&shown["secs_left"], &shown["expires"]),
        (&json!(1_500), &json!("2098-01-01T00:00:00Z"))
    );
    vendor.ok(&["suspend", &code]);
    assert_eq!(vendor.show(&code)["status"], "suspended");
    assert_eq!(vendor.run(&["suspend", &code]).code, 1);
    vendor.ok(&["resume", &code]);
    vendor.ok(&["revoke", &code]);
    let output = vendor.run(&["resume", &code]);
    assert!(output.code == 1 && output.err.contains("for good"), "{output:?}");
    assert_eq!(vendor.show(&code)["audit"], "5 entries, intact");
}

#[test]
fn a_wrong_use_is_told_apart_from_a_failure_and_changes_nothing() {
    let vendor = Vendor::init();
    let code = sell(&vendor, &[]);
    let absent = "494900000000000000";
    for (words, exit, said) in [
        (vec!["create", "--secs", "1"], 2, "--cache, --expires are missing"),
        (
            vec!["create", "--secs", "0", "--cache", "1", "--expires", "2099-01-01T00:00:00Z"],
            2,
            "--secs",
        ),
        (
            vec!["create", "--secs", "1", "--cache", "1", "--expires", "2099-02-30T00:00:00Z"],
            2,
            "--expires",
        ),
        (
            vec!["create", "--secs", "1", "--cache", "1", "--expires", "2001-01-01T00:00:00Z"],
            2,
            "past",
        ),
        (vec!["show", "12"], 2, "18 digits"),
        (vec!["show", absent], 1, "there is no license 4949…0000"),
        (vec!["credit", &code, "--secs", "1"], 1, "only 0 seconds were charged"),
        (vec!["release", &code], 1, "no appliance holds such a seat"),
        (vec!["extend", &code], 2, "--expires, --secs"),
        (vec!["extend", &code, "--expires", "2001-01-01T00:00:00Z"], 2, "add --yes"),
        (vec!["extend", &code, "--offline-mode", "maybe"], 2, "yes or no"),
        (vec!["list", "--state", "odd"], 2, "--state"),
        (
            vec![
                "create",
                "--secs",
                "1",
                "--cache",
                "1",
                "--expires",
                "2099-01-01T00:00:00Z",
                "--code",
                &code,
            ],
            1,
            "already",
        ),
        (vec!["rotate", "everything"], 2, "issuer or request-key"),
        (vec!["shwo", &code], 2, "did you mean \"show\""),
        (vec!["init", "--customer", "4949"], 1, "holds a license authority already"),
        (vec!["serve", "--listen", "nowhere"], 2, "--listen"),
    ] {
        let output = vendor.run(&words);
        assert!(output.code == exit && output.err.contains(said), "{words:?}: {output:?}");
        assert!(output.out.is_empty() && output.err.lines().count() == 1, "{words:?}: {output:?}");
    }
    assert_eq!(vendor.show(&code)["audit"], "1 entries, intact");
    let nowhere = std::process::Command::new(crate::support::vendor::program())
        .args(["list", "--dir", "/nowhere"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert!(nowhere.status.code() == Some(1) && said.contains("init"), "{said}");
}

#[test]
fn an_edited_license_is_refused_and_an_edited_log_is_found_out() {
    let vendor = Vendor::init();
    let code = sell(&vendor, &[]);
    vendor.ok(&["extend", &code, "--secs", "1"]);
    let path = |name: &str| vendor.dir().join(format!("records/{}/{code}/{name}", &code[15..]));
    let log = std::fs::read_to_string(path("audit.log")).unwrap();
    std::fs::write(path("audit.log"), log.replace("\"secs\":1000", "\"secs\":9000")).unwrap();
    assert!(vendor.show(&code)["audit"].as_str().unwrap().starts_with("DAMAGED"));

    let state = std::fs::read_to_string(path("license.json")).unwrap();
    std::fs::write(path("license.json"), state.replace("\"left\":1001", "\"left\":9001")).unwrap();
    let output = vendor.run(&["suspend", &code]);
    assert!(output.code == 1 && output.err.contains("do not add up"), "{output:?}");
    assert!(!output.err.contains(&code), "{output:?}");

    let other = sell(&vendor, &[]);
    let listed = vendor.run(&["list", "--json"]);
    assert!(listed.code == 1 && listed.err.contains("do not add up"), "{listed:?}");
    assert_eq!(listed.json()[0]["license"], other.as_str(), "the others are still listed");
}

#[test]
fn only_the_trust_file_is_for_everybody_to_read() {
    let mut vendor = Vendor::init();
    let code = sell(&vendor, &[]);
    vendor.serve();
    let mode = |name: &str| {
        std::fs::metadata(vendor.dir().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("trust.json")), (0o700, 0o644));
    vendor.ok(&["rotate", "issuer"]);
    assert_eq!(mode("trust.json"), 0o644);
    let folder = format!("records/{}/{code}", &code[15..]);
    let (state, log) = (format!("{folder}/license.json"), format!("{folder}/audit.log"));
    for secret in
        ["records/keys/keys.json", "records/keys/audit.log", "root.key", "serve.lock", &state, &log]
    {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
}

#[test]
fn a_trust_file_of_an_earlier_release_is_opened_to_everybody_by_serve() {
    let mut vendor = Vendor::init();
    let path = vendor.dir().join("trust.json");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    vendor.serve();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
}
