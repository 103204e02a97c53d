//! What the folder may hold when the power fails, put there by hand, and writes that fail.

use super::*;

#[test]
fn a_reset_cut_off_at_any_point_after_its_commit_is_finished_at_the_next_start() {
    // What the folder holds after the commit, after each removal, and after both.
    for (uploaded, htpasswd) in [(true, true), (false, true), (true, false), (false, false)] {
        let appliance = Appliance::new();
        let security = appliance.start(V2);
        upload(&security, &root("Example"));
        drop(security);
        appliance.put("admin.htpasswd", LINE);
        appliance.put(
            "security.json",
            r#"{"version":1,"plain_http":true,"authentication":"on",
                "discard":["tls/uploaded.pem","admin.htpasswd"]}"#,
        );
        if !uploaded {
            fs::remove_file(appliance.path("tls/uploaded.pem")).unwrap();
        }
        if !htpasswd {
            fs::remove_file(appliance.path("admin.htpasswd")).unwrap();
        }
        let security = appliance.start(V2);
        assert_eq!((plain_http(&security), password(&security)), (true, "unset"));
        assert_eq!(source(&security), Source::Default);
        assert!(!appliance.path("tls/uploaded.pem").exists());
        assert!(!appliance.path("admin.htpasswd").exists());
        assert!(!appliance.text("security.json").contains("discard"));
    }
}

#[test]
fn a_change_cut_off_before_its_commit_never_happened() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    security.set_plain_http(&Actor::Local, false).unwrap();
    let before = sha256(&security);
    drop(security);
    let half = r#"{"version":1,"plain_http":true,"authentication":"on"}"#;
    appliance.put(".security.json.tmp", half);
    appliance.put(".admin.htpasswd.tmp", &LINE[..20]);
    appliance.put("tls/.uploaded.pem.tmp", "-----BEGIN CERT");
    let security = appliance.start(BOTH);
    assert_eq!((plain_http(&security), password(&security)), (false, "unset"));
    assert_eq!(sha256(&security), before);
    assert!(!appliance.path(".security.json.tmp").exists());
    assert!(!appliance.path("tls/.uploaded.pem.tmp").exists());
}

#[test]
fn a_password_set_after_an_untidied_reset_is_not_discarded_by_the_next_start() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    upload(&security, &root("Example"));
    // A folder in place of the password file can't be removed as a file, so the tidying fails.
    fs::create_dir(appliance.path("admin.htpasswd")).unwrap();
    security.reset(&Actor::Local).unwrap();
    assert_eq!((password(&security), source(&security)), ("unset", Source::Default));
    security.set_password(&Actor::Local, "correct horse").unwrap();
    drop(security);
    assert_eq!(password(&appliance.start(BOTH)), "set");
}

#[test]
fn a_change_that_cannot_be_saved_fails_and_what_the_disk_holds_stays_in_force() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    security.set_plain_http(&Actor::Local, false).unwrap();
    let before = sha256(&security);
    // Folders in place of the temporaries make every write fail, also for root.
    for name in [".security.json.tmp", ".admin.htpasswd.tmp", "tls/.uploaded.pem.tmp"] {
        fs::create_dir(appliance.path(name)).unwrap();
    }
    let failed = |result: Result<(), Error>| match result {
        Err(Error::Failed(sentence)) => assert!(sentence.contains("stays in force"), "{sentence}"),
        other => panic!("{other:?}"),
    };
    failed(security.set_plain_http(&Actor::Local, true));
    failed(security.set_password(&Actor::Local, "correct horse"));
    failed(security.unset_password(&Actor::Local));
    failed(security.reset(&Actor::Local));
    let made = root("Example");
    let (key, chain) = (made.key_pem(), made.pem());
    let now = SystemTime::now();
    failed(
        security
            .replace_certificate(&Actor::Local, Some(key.as_bytes()), chain.as_bytes(), now)
            .map(drop),
    );
    assert_eq!((plain_http(&security), password(&security)), (false, "unset"));
    assert_eq!(sha256(&security), before);
}
