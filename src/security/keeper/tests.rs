#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::Keeper;
use crate::config::Api;
use crate::log::Log;
use crate::security::certificate::tests::{Made, root};
use crate::security::{Actor, Fault, Password, Source};
use crate::store::Scratch;

const V1: Api = Api { v1: true, v2: false };
const V2: Api = Api { v1: false, v2: true };
const BOTH: Api = Api { v1: true, v2: true };

/// The line of the v2 manual: the password `admin` at a cost that costs nothing.
const LINE: &str = "admin:$2y$05$Q1xPUPRrDoz/40XFn7OZTumWWsjYTyia8z5eI/XzGEHRRx4utr3e2\n";

/// An appliance's state folder across starts.
struct Appliance {
    _scratch: Scratch,
    state: PathBuf,
    log: Arc<Mutex<String>>,
}

impl Appliance {
    fn new() -> Appliance {
        let scratch = Scratch::new();
        let state = scratch.0.join("state");
        Appliance { _scratch: scratch, state, log: Arc::default() }
    }

    fn start(&self, api: Api) -> Keeper {
        let log = Arc::clone(&self.log);
        let log = Log::to(move |line| log.lock().unwrap().push_str(line));
        Keeper::open(&self.state, api, log).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    fn put(&self, name: &str, contents: &str) {
        fs::write(self.path(name), contents).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn damaged(&self, name: &str) -> Vec<PathBuf> {
        let path = self.path(name);
        let start = format!("{}.damaged-", path.file_name().unwrap().to_string_lossy());
        let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
        let is_it =
            |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&start);
        entries.map(|entry| entry.path()).filter(is_it).collect()
    }

    /// The log since the last call.
    fn logged(&self) -> String {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn upload(keeper: &Keeper, made: &Made) {
    let (key, chain) = (made.key_pem(), made.pem());
    let now = SystemTime::now();
    keeper.replace_certificate(&Actor::Local, key.as_bytes(), chain.as_bytes(), now).unwrap();
}

fn plain_http(keeper: &Keeper) -> bool {
    keeper.rules().snapshot().plain_http
}

fn password(keeper: &Keeper) -> &'static str {
    keeper.rules().snapshot().password.state()
}

fn source(keeper: &Keeper) -> Source {
    keeper.identity().snapshot().summary.source
}

fn sha256(keeper: &Keeper) -> String {
    keeper.identity().snapshot().summary.sha256.clone()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_first_start_opens_plain_http_without_password_and_keeps_its_certificate() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    assert_eq!((plain_http(&keeper), password(&keeper)), (true, "unset"));
    assert_eq!(source(&keeper), Source::Default);
    let first = sha256(&keeper);
    drop(keeper);
    assert_eq!(sha256(&appliance.start(BOTH)), first);
    assert_eq!(appliance.logged().matches("first start").count(), 1);
}

#[test]
fn every_change_survives_a_restart_and_a_reset_takes_all_of_them_back() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    let default = sha256(&keeper);
    let (by, made) = (Actor::Remote("192.0.2.1".parse().unwrap()), root("Example"));
    upload(&keeper, &made);
    keeper.set_plain_http(&by, false).unwrap();
    keeper.set_password(&by, "correct horse").unwrap();
    let uploaded = sha256(&keeper);
    drop(keeper);

    let keeper = appliance.start(BOTH);
    assert_eq!((plain_http(&keeper), password(&keeper)), (false, "set"));
    assert_eq!((source(&keeper), sha256(&keeper)), (Source::Uploaded, uploaded));
    match &keeper.rules().snapshot().password {
        Password::Set(hash) => assert!(hash.matches(b"correct horse")),
        other => panic!("{other:?}"),
    }

    keeper.reset(&by).unwrap();
    let after = |keeper: &Keeper| {
        assert_eq!((plain_http(keeper), password(keeper)), (true, "unset"));
        assert_eq!((source(keeper), sha256(keeper)), (Source::Default, default.clone()));
    };
    after(&keeper);
    drop(keeper);
    after(&appliance.start(BOTH));
    assert!(!appliance.path("admin.htpasswd").exists());
    assert!(!appliance.path("tls/uploaded.pem").exists());
    assert!(!appliance.text("security.json").contains("discard"));

    let log = appliance.logged();
    assert_eq!(log.matches(" security ").count(), 4, "{log}");
    assert_eq!(log.matches("by a client at 192.0.2.1").count(), 3, "{log}");
    assert!(!log.contains("horse") && !log.contains("$2y$") && !log.contains("PRIVATE"), "{log}");
}

#[test]
fn a_refused_input_changes_nothing() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    let before = sha256(&keeper);
    let refused = keeper.replace_certificate(&Actor::Local, b"x", b"y", SystemTime::now());
    assert!(matches!(refused, Err(Fault::Refused(_))));
    assert!(matches!(keeper.set_password(&Actor::Local, ""), Err(Fault::Refused(_))));
    assert_eq!((password(&keeper), sha256(&keeper)), ("unset", before));
    assert!(!appliance.path("admin.htpasswd").exists());
}

#[test]
fn unsetting_the_password_means_off_on_v2_alone_and_unset_where_v1_is_mounted() {
    for (api, expected) in [(V1, "unset"), (V2, "off"), (BOTH, "unset")] {
        let appliance = Appliance::new();
        let keeper = appliance.start(api);
        appliance.put("admin.htpasswd", LINE);
        keeper.reload();
        assert_eq!(password(&keeper), "set");
        keeper.unset_password(&Actor::Local).unwrap();
        assert_eq!(password(&keeper), expected);
        drop(keeper);
        let keeper = appliance.start(api);
        assert_eq!(password(&keeper), expected);
        assert!(!appliance.path("admin.htpasswd").exists());
    }
}

#[test]
fn a_password_file_always_means_authentication_whatever_the_settings_say() {
    let appliance = Appliance::new();
    let keeper = appliance.start(V2);
    keeper.unset_password(&Actor::Local).unwrap();
    assert!(appliance.text("security.json").contains(r#""authentication": "off""#));
    appliance.put("admin.htpasswd", LINE);
    keeper.reload();
    assert_eq!(password(&keeper), "set");
    drop(keeper);
    assert_eq!(password(&appliance.start(V2)), "set");
}

#[test]
fn authentication_turned_off_on_v2_does_not_carry_over_to_both() {
    let appliance = Appliance::new();
    appliance.start(V2).unset_password(&Actor::Local).unwrap();
    assert_eq!(password(&appliance.start(BOTH)), "unset");
}

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
fn a_damaged_password_file_locks_stays_where_it_is_and_is_kept_when_replaced() {
    for contents in ["", "admin:\u{0}", "admin:$2y$05$short", "nobody:x"] {
        let appliance = Appliance::new();
        drop(appliance.start(BOTH));
        appliance.put("admin.htpasswd", contents);
        for _ in 0..2 {
            assert_eq!(password(&appliance.start(BOTH)), "locked");
            assert_eq!(appliance.text("admin.htpasswd"), contents);
        }
        assert!(appliance.logged().contains("nobody gets in over the network"));
        let keeper = appliance.start(BOTH);
        keeper.reset(&Actor::Local).unwrap();
        assert_eq!(password(&keeper), "unset");
        let kept = appliance.damaged("admin.htpasswd");
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), contents);
    }
}

#[test]
fn a_new_password_replaces_a_damaged_file_and_keeps_it_aside() {
    let appliance = Appliance::new();
    drop(appliance.start(BOTH));
    appliance.put("admin.htpasswd", "damaged");
    let keeper = appliance.start(BOTH);
    keeper.set_password(&Actor::Local, "correct horse").unwrap();
    assert_eq!(password(&keeper), "set");
    assert_eq!(appliance.damaged("admin.htpasswd").len(), 1);
    drop(keeper);
    assert_eq!(password(&appliance.start(BOTH)), "set");
}

#[test]
fn an_untrusted_password_file_locks_until_the_chmod_in_the_log_is_run() {
    let appliance = Appliance::new();
    drop(appliance.start(BOTH));
    appliance.put("admin.htpasswd", LINE);
    chmod(&appliance.path("admin.htpasswd"), 0o666);
    let keeper = appliance.start(BOTH);
    assert_eq!(password(&keeper), "locked");
    assert!(appliance.logged().contains("`chmod 600 "));
    chmod(&appliance.path("admin.htpasswd"), 0o600);
    keeper.reload();
    assert_eq!(password(&keeper), "set");
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
            let keeper = appliance.start(V2);
            assert_eq!((plain_http(&keeper), password(&keeper)), (false, "unset"));
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
    let keeper = appliance.start(BOTH);
    assert!(!plain_http(&keeper));
    chmod(&appliance.path("security.json"), 0o600);
    keeper.reload();
    assert!(plain_http(&keeper));
}

#[test]
fn a_damaged_uploaded_certificate_is_set_aside_and_the_default_serves() {
    let appliance = Appliance::new();
    let keeper = appliance.start(BOTH);
    let default = sha256(&keeper);
    upload(&keeper, &root("Example"));
    drop(keeper);
    let whole = appliance.text("tls/uploaded.pem");
    appliance.put("tls/uploaded.pem", &whole[..whole.len() / 2]);
    let keeper = appliance.start(BOTH);
    assert_eq!((source(&keeper), sha256(&keeper)), (Source::Default, default));
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
    assert_eq!(appliance.logged().matches("the certificate in service stays").count(), 1);
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
    let failed = |result: Result<(), Fault>| match result {
        Err(Fault::Failed(sentence)) => assert!(sentence.contains("stays in force"), "{sentence}"),
        other => panic!("{other:?}"),
    };
    failed(keeper.set_plain_http(&Actor::Local, true));
    failed(keeper.set_password(&Actor::Local, "correct horse"));
    failed(keeper.unset_password(&Actor::Local));
    failed(keeper.reset(&Actor::Local));
    let made = root("Example");
    let (key, chain) = (made.key_pem(), made.pem());
    let now = SystemTime::now();
    failed(keeper.replace_certificate(&Actor::Local, key.as_bytes(), chain.as_bytes(), now));
    assert_eq!((plain_http(&keeper), password(&keeper)), (false, "unset"));
    assert_eq!(sha256(&keeper), before);
}

#[test]
fn two_keepers_cannot_have_the_same_folder() {
    let appliance = Appliance::new();
    let _first = appliance.start(BOTH);
    let second = Keeper::open(&appliance.state, BOTH, Log::to(|_| {}));
    assert!(second.unwrap_err().contains("another applianced"));
}
