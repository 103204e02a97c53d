//! What the folder may hold when the power fails, put there by hand, and writes that fail.

use super::*;

#[test]
fn a_reset_cut_off_at_any_point_after_its_commit_is_finished_at_the_next_start() {
    // What the folder holds after the commit, after each removal, and after both.
    for (uploaded, htpasswd) in [(true, true), (false, true), (true, false), (false, false)] {
        let appliance = Appliance::new();
        let keeper = appliance.start(V2);
        upload(&keeper, &root("Example"));
        drop(keeper);
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
        let keeper = appliance.start(V2);
        assert_eq!((plain_http(&keeper), password(&keeper)), (true, "unset"));
        assert_eq!(source(&keeper), Source::Default);
        assert!(!appliance.path("tls/uploaded.pem").exists());
        assert!(!appliance.path("admin.htpasswd").exists());
        assert!(!appliance.text("security.json").contains("discard"));
    }
}

#[test]
fn a_change_cut_off_before_its_commit_never_happened() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    keeper.set_plain_http(&Actor::Local, false).unwrap();
    let before = sha256(&keeper);
    drop(keeper);
    let half = r#"{"version":1,"plain_http":true,"authentication":"on"}"#;
    appliance.put(".security.json.tmp", half);
    appliance.put(".admin.htpasswd.tmp", &LINE[..20]);
    appliance.put("tls/.uploaded.pem.tmp", "-----BEGIN CERT");
    let keeper = appliance.start(BOTH);
    assert_eq!((plain_http(&keeper), password(&keeper)), (false, "unset"));
    assert_eq!(sha256(&keeper), before);
    assert!(!appliance.path(".security.json.tmp").exists());
    assert!(!appliance.path("tls/.uploaded.pem.tmp").exists());
}

#[test]
fn a_password_set_after_an_untidied_reset_is_not_discarded_by_the_next_start() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    upload(&keeper, &root("Example"));
    // A folder in place of the password file can't be removed as a file, so the tidying fails.
    fs::create_dir(appliance.path("admin.htpasswd")).unwrap();
    keeper.reset(&Actor::Local).unwrap();
    assert_eq!((password(&keeper), source(&keeper)), ("unset", Source::Default));
    keeper.set_password(&Actor::Local, "correct horse").unwrap();
    drop(keeper);
    assert_eq!(password(&appliance.start(BOTH)), "set");
}

#[test]
fn a_change_that_cannot_be_saved_fails_and_what_the_disk_holds_stays_in_force() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    keeper.set_plain_http(&Actor::Local, false).unwrap();
    let before = sha256(&keeper);
    // Folders in place of the temporaries make every write fail, also for root.
    for name in [".security.json.tmp", ".admin.htpasswd.tmp", "tls/.uploaded.pem.tmp"] {
        fs::create_dir(appliance.path(name)).unwrap();
    }
    let failed = |result: Result<(), Error>| match result {
        Err(Error::Failed(sentence)) => assert!(sentence.contains("stays in force"), "{sentence}"),
        other => panic!("{other:?}"),
    };
    failed(keeper.set_plain_http(&Actor::Local, true));
    failed(keeper.set_password(&Actor::Local, "correct horse"));
    failed(keeper.unset_password(&Actor::Local));
    failed(keeper.reset(&Actor::Local));
    let made = root("Example");
    let (key, chain) = (made.key_pem(), made.pem());
    let now = SystemTime::now();
    failed(
        keeper.replace_certificate(&Actor::Local, key.as_bytes(), chain.as_bytes(), now).map(drop),
    );
    assert_eq!((plain_http(&keeper), password(&keeper)), (false, "unset"));
    assert_eq!(sha256(&keeper), before);
}
