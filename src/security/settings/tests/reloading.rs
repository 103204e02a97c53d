//! Taking in what was changed by hand.

use super::*;

#[test]
fn reloading_unchanged_files_changes_and_logs_nothing() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    upload(&security, &root("Example"));
    security.set_password(&Actor::Local, "correct horse").unwrap();
    security.set_plain_http(&Actor::Local, false).unwrap();
    let (rules, identity) = (security.rules().snapshot(), security.identity().snapshot());
    appliance.logged();
    security.reload();
    assert_eq!(appliance.logged(), "");
    assert!(Arc::ptr_eq(&rules, &security.rules().snapshot()));
    assert!(Arc::ptr_eq(&identity, &security.identity().snapshot()));
    security.reset(&Actor::Local).unwrap();
    appliance.logged();
    security.reload();
    assert_eq!(appliance.logged(), "");
}

#[test]
fn files_changed_by_hand_are_taken_in() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    let made = root("Example");
    appliance.put("tls/uploaded.pem", &(made.pem() + &made.key_pem()));
    appliance.put("admin.htpasswd", LINE);
    appliance.put("security.json", r#"{"version":1,"plain_http":false,"authentication":"on"}"#);
    security.reload();
    assert_eq!((plain_http(&security), password(&security)), (false, "set"));
    assert_eq!(source(&security), Source::Uploaded);
    for name in ["tls/uploaded.pem", "admin.htpasswd", "security.json"] {
        fs::remove_file(appliance.path(name)).unwrap();
    }
    security.reload();
    assert_eq!((plain_http(&security), password(&security)), (true, "unset"));
    assert_eq!(source(&security), Source::Default);
}

#[test]
fn a_bad_certificate_found_on_reload_is_reported_once_and_left_alone() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    upload(&security, &root("Example"));
    let serving = sha256(&security);
    appliance.put("tls/uploaded.pem", "half a certifi");
    appliance.logged();
    security.reload();
    security.reload();
    assert_eq!(appliance.logged().matches("keeping the current certificate").count(), 1);
    assert_eq!(sha256(&security), serving);
    assert_eq!(appliance.text("tls/uploaded.pem"), "half a certifi");
    upload(&security, &root("Other"));
    assert_ne!(sha256(&security), serving);
    assert_eq!(appliance.damaged("tls/uploaded.pem").len(), 1);
}

#[test]
fn a_damaged_password_file_on_reload_locks_and_damaged_settings_stay_as_they_were() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    security.set_plain_http(&Actor::Local, false).unwrap();
    appliance.put("admin.htpasswd", "admin:plain text");
    appliance.put("security.json", "{}");
    security.reload();
    assert_eq!((plain_http(&security), password(&security)), (false, "locked"));
    assert!(!appliance.logged().contains("plain text"));
    assert_eq!(appliance.text("security.json"), "{}");
}
