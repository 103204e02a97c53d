//! Starting over damaged and untrusted files.

use super::*;

#[test]
fn a_damaged_password_file_locks_stays_where_it_is_and_is_kept_when_replaced() {
    for contents in ["", "admin:\u{0}", "admin:$2y$05$short", "nobody:x"] {
        let appliance = Appliance::new();
        drop(appliance.start(BOTH));
        appliance.put("admin.htpasswd", contents);
        for _ in 0..2 {
            assert_eq!(password(&appliance.start(BOTH)), "locked");
            assert_eq!(appliance.text("admin.htpasswd"), contents);
        }
        assert!(appliance.logged().contains("network logins are refused"));
        let security = appliance.start(BOTH);
        security.reset(&Actor::Local).unwrap();
        assert_eq!(password(&security), "unset");
        let kept = appliance.damaged("admin.htpasswd");
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), contents);
    }
}

#[test]
fn a_new_password_replaces_a_damaged_file_and_keeps_it_aside() {
    let appliance = Appliance::new();
    drop(appliance.start(BOTH));
    appliance.put("admin.htpasswd", "damaged");
    let security = appliance.start(BOTH);
    security.set_password(&Actor::Local, "correct horse").unwrap();
    assert_eq!(password(&security), "set");
    assert_eq!(appliance.damaged("admin.htpasswd").len(), 1);
    drop(security);
    assert_eq!(password(&appliance.start(BOTH)), "set");
}

#[test]
fn an_untrusted_password_file_locks_until_the_chmod_in_the_log_is_run() {
    let appliance = Appliance::new();
    drop(appliance.start(BOTH));
    appliance.put("admin.htpasswd", LINE);
    chmod(&appliance.path("admin.htpasswd"), 0o666);
    let security = appliance.start(BOTH);
    assert_eq!(password(&security), "locked");
    assert!(appliance.logged().contains("`chmod 600 "));
    chmod(&appliance.path("admin.htpasswd"), 0o600);
    security.reload();
    assert_eq!(password(&security), "set");
}

#[test]
fn damaged_settings_close_plain_http_now_and_at_the_next_start() {
    for contents in
        ["", "{", r#"{"version":9,"plain_http":true,"authentication":"on"}"#, "{\"version\":1}"]
    {
        let appliance = Appliance::new();
        drop(appliance.start(V2));
        appliance.put("security.json", contents);
        for _ in 0..2 {
            let security = appliance.start(V2);
            assert_eq!((plain_http(&security), password(&security)), (false, "unset"));
        }
        let kept = appliance.damaged("security.json");
        assert_eq!(kept.len(), 1);
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), contents);
    }
}

#[test]
fn untrusted_settings_close_plain_http_until_they_are_mended() {
    let appliance = Appliance::new();
    appliance.start(BOTH).set_plain_http(&Actor::Local, true).unwrap();
    chmod(&appliance.path("security.json"), 0o662);
    let security = appliance.start(BOTH);
    assert!(!plain_http(&security));
    chmod(&appliance.path("security.json"), 0o600);
    security.reload();
    assert!(plain_http(&security));
}

#[test]
fn a_damaged_uploaded_certificate_is_set_aside_and_the_default_serves() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    let default = sha256(&security);
    upload(&security, &root("Example"));
    drop(security);
    let whole = appliance.text("tls/uploaded.pem");
    appliance.put("tls/uploaded.pem", &whole[..whole.len() / 2]);
    let security = appliance.start(BOTH);
    assert_eq!((source(&security), sha256(&security)), (Source::Default, default));
    assert_eq!(appliance.damaged("tls/uploaded.pem").len(), 1);
    assert!(appliance.logged().contains("upload yours again"));
}

#[test]
fn a_damaged_default_certificate_is_set_aside_and_made_anew() {
    let appliance = Appliance::new();
    let first = sha256(&appliance.start(BOTH));
    appliance.put("tls/default.pem", "");
    let second = sha256(&appliance.start(BOTH));
    assert_ne!(first, second);
    assert_eq!(appliance.damaged("tls/default.pem").len(), 1);
    assert_eq!(sha256(&appliance.start(BOTH)), second);
}
