//! The job token across starts, damage and edits by hand.

use super::*;

const FILE: &str = "job-token.json";

fn token(security: &SecuritySettings) -> &'static str {
    security.rules().snapshot().job_token.state()
}

fn takes(security: &SecuritySettings, token: &str) -> bool {
    security.rules().snapshot().job_token.matches(token.as_bytes())
}

#[test]
fn a_job_token_survives_a_restart_and_is_removed_by_hand_and_by_reset() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    assert_eq!(token(&security), "unset");
    assert!(!security.remove_job_token(&Actor::Local).unwrap());
    security.set_job_token(&Actor::Local, "first-token").unwrap();
    drop(security);

    let security = appliance.start(BOTH);
    assert!(takes(&security, "first-token") && !takes(&security, "second-token"));
    security.set_job_token(&Actor::Local, "second-token").unwrap();
    assert!(!takes(&security, "first-token") && takes(&security, "second-token"));
    assert!(matches!(security.set_job_token(&Actor::Local, "a b"), Err(Error::Invalid(_))));
    assert!(takes(&security, "second-token"));
    assert!(security.remove_job_token(&Actor::Local).unwrap());
    assert_eq!((token(&security), appliance.path(FILE).exists()), ("unset", false));

    security.set_job_token(&Actor::Local, "third-token").unwrap();
    security.set_password(&Actor::Local, "correct horse").unwrap();
    security.unset_password(&Actor::Local).unwrap();
    assert_eq!(token(&security), "set", "the password and the token are two settings");
    security.reset(&Actor::Local).unwrap();
    assert_eq!((token(&security), appliance.path(FILE).exists()), ("unset", false));
    let log = appliance.logged();
    assert_eq!(log.matches("job token set by the local administrator").count(), 3, "{log}");
    assert!(log.contains("no job token, plain HTTP enabled"), "{log}");
    for secret in ["first-token", "second-token", "third-token"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_damaged_or_untrusted_token_file_lets_nobody_in_until_a_token_is_set_or_removed() {
    for contents in ["", "{", r#"{"version": 1}"#, r#"{"version": 2, "salt": "00"}"#] {
        let appliance = Appliance::new();
        appliance.start(BOTH).set_job_token(&Actor::Local, "a-token").unwrap();
        appliance.put(FILE, contents);
        let security = appliance.start(BOTH);
        assert_eq!((token(&security), takes(&security, "a-token")), ("locked", false));
        assert!(appliance.logged().contains("no job token is accepted"), "{contents}");
        security.set_job_token(&Actor::Local, "b-token").unwrap();
        assert!(takes(&security, "b-token"));
        assert_eq!(appliance.damaged(FILE).len(), 1);

        appliance.put(FILE, contents);
        security.reload();
        assert_eq!(security.rules().snapshot().job_token, JobToken::Locked);
        assert!(security.remove_job_token(&Actor::Local).unwrap());
        assert_eq!(token(&security), "unset");
    }
    let appliance = Appliance::new();
    appliance.start(BOTH).set_job_token(&Actor::Local, "a-token").unwrap();
    chmod(&appliance.path(FILE), 0o666);
    let security = appliance.start(BOTH);
    assert_eq!(token(&security), "locked");
    chmod(&appliance.path(FILE), 0o600);
    security.reload();
    assert!(takes(&security, "a-token"));
    fs::remove_file(appliance.path(FILE)).unwrap();
    security.reload();
    assert_eq!(token(&security), "unset");
    assert!(appliance.logged().contains("job-token.json was removed: speech is open"));
}

#[test]
fn a_removal_or_a_reset_cut_off_after_its_commit_is_finished_at_the_next_start() {
    let appliance = Appliance::new();
    appliance.start(BOTH).set_job_token(&Actor::Local, "a-token").unwrap();
    appliance.put(
        "security.json",
        r#"{"version": 1, "plain_http": true, "authentication": "on", "discard": ["job-token.json"]}"#,
    );
    let security = appliance.start(BOTH);
    assert_eq!((token(&security), appliance.path(FILE).exists()), ("unset", false));
}

#[test]
fn a_token_that_cannot_be_saved_is_not_in_force() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    security.set_job_token(&Actor::Local, "a-token").unwrap();
    // A folder in place of the temporary makes every write fail, also for root.
    for name in [".job-token.json.tmp", ".security.json.tmp"] {
        fs::create_dir(appliance.path(name)).unwrap();
    }
    assert!(matches!(security.set_job_token(&Actor::Local, "b-token"), Err(Error::Failed(_))));
    assert!(matches!(security.remove_job_token(&Actor::Local), Err(Error::Failed(_))));
    assert!(takes(&security, "a-token") && !takes(&security, "b-token"));
}
