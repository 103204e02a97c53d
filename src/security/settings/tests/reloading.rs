//! Taking in what was changed by hand.

use super::*;

#[test]
fn reloading_unchanged_files_changes_and_logs_nothing() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    upload(&keeper, &root("Example"));
    keeper.set_password(&Actor::Local, "correct horse").unwrap();
    keeper.set_plain_http(&Actor::Local, false).unwrap();
    let (rules, identity) = (keeper.rules().snapshot(), keeper.identity().snapshot());
    appliance.logged();
    keeper.reload();
    assert_eq!(appliance.logged(), "");
    assert!(Arc::ptr_eq(&rules, &keeper.rules().snapshot()));
    assert!(Arc::ptr_eq(&identity, &keeper.identity().snapshot()));
    keeper.reset(&Actor::Local).unwrap();
    appliance.logged();
    keeper.reload();
    assert_eq!(appliance.logged(), "");
}

#[test]
fn files_changed_by_hand_are_taken_in() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    let made = root("Example");
    appliance.put("tls/uploaded.pem", &(made.pem() + &made.key_pem()));
    appliance.put("admin.htpasswd", LINE);
    appliance.put("security.json", r#"{"version":1,"plain_http":false,"authentication":"on"}"#);
    keeper.reload();
    assert_eq!((plain_http(&keeper), password(&keeper)), (false, "set"));
    assert_eq!(source(&keeper), Source::Uploaded);
    for name in ["tls/uploaded.pem", "admin.htpasswd", "security.json"] {
        fs::remove_file(appliance.path(name)).unwrap();
    }
    keeper.reload();
    assert_eq!((plain_http(&keeper), password(&keeper)), (true, "unset"));
    assert_eq!(source(&keeper), Source::Default);
}

#[test]
fn a_bad_certificate_found_on_reload_is_reported_once_and_left_alone() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    upload(&keeper, &root("Example"));
    let serving = sha256(&keeper);
    appliance.put("tls/uploaded.pem", "half a certifi");
    appliance.logged();
    keeper.reload();
    keeper.reload();
    assert_eq!(appliance.logged().matches("keeping the current certificate").count(), 1);
    assert_eq!(sha256(&keeper), serving);
    assert_eq!(appliance.text("tls/uploaded.pem"), "half a certifi");
    upload(&keeper, &root("Other"));
    assert_ne!(sha256(&keeper), serving);
    assert_eq!(appliance.damaged("tls/uploaded.pem").len(), 1);
}

#[test]
fn a_damaged_password_file_on_reload_locks_and_damaged_settings_stay_as_they_were() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    keeper.set_plain_http(&Actor::Local, false).unwrap();
    appliance.put("admin.htpasswd", "admin:plain text");
    appliance.put("security.json", "{}");
    keeper.reload();
    assert_eq!((plain_http(&keeper), password(&keeper)), (false, "locked"));
    assert!(!appliance.logged().contains("plain text"));
    assert_eq!(appliance.text("security.json"), "{}");
}
