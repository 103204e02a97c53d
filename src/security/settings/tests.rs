#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rcgen::KeyPair;

use super::SecuritySettings;
use crate::config::Api;
use crate::log::Log;
use crate::security::certificate::tests::{Made, root};
use crate::security::{Actor, Error, JobToken, KeyType, Password, Source, Wanted};
use crate::store::Scratch;

mod damage;

mod job_token;

mod power_cut;

mod reloading;

const V1: Api = Api { v1: true, v2: false };
const V2: Api = Api { v1: false, v2: true };
const BOTH: Api = Api { v1: true, v2: true };

/// The line of M2-22: the password `admin` at the lowest cost.
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

    fn start(&self, api: Api) -> SecuritySettings {
        let log = Arc::clone(&self.log);
        let log = Log::to(move |line| log.lock().unwrap().push_str(line));
        SecuritySettings::open(&self.state, api, log).unwrap()
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

fn upload(security: &SecuritySettings, made: &Made) {
    let (key, chain) = (made.key_pem(), made.pem());
    let now = SystemTime::now();
    security
        .replace_certificate(&Actor::Local, Some(key.as_bytes()), chain.as_bytes(), now)
        .unwrap();
}

fn plain_http(security: &SecuritySettings) -> bool {
    security.rules().snapshot().plain_http
}

fn password(security: &SecuritySettings) -> &'static str {
    security.rules().snapshot().password.state()
}

fn source(security: &SecuritySettings) -> Source {
    security.identity().snapshot().summary.source
}

fn sha256(security: &SecuritySettings) -> String {
    security.identity().snapshot().summary.sha256.clone()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_first_start_opens_plain_http_without_password_and_keeps_its_certificate() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    assert_eq!((plain_http(&security), password(&security)), (true, "unset"));
    assert_eq!(source(&security), Source::Default);
    let first = sha256(&security);
    drop(security);
    assert_eq!(sha256(&appliance.start(BOTH)), first);
    assert_eq!(appliance.logged().matches("first start").count(), 1);
}

#[test]
fn every_change_survives_a_restart_and_a_reset_takes_all_of_them_back() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    let default = sha256(&security);
    let (by, made) = (Actor::Remote("192.0.2.1".parse().unwrap()), root("Example"));
    upload(&security, &made);
    security.set_plain_http(&by, false).unwrap();
    security.set_password(&by, "correct horse").unwrap();
    let uploaded = sha256(&security);
    drop(security);

    let security = appliance.start(BOTH);
    assert_eq!((plain_http(&security), password(&security)), (false, "set"));
    assert_eq!((source(&security), sha256(&security)), (Source::Uploaded, uploaded));
    match &security.rules().snapshot().password {
        Password::Set(hash) => assert!(hash.matches(b"correct horse")),
        other => panic!("{other:?}"),
    }

    security.reset(&by).unwrap();
    let after = |security: &SecuritySettings| {
        assert_eq!((plain_http(security), password(security)), (true, "unset"));
        assert_eq!((source(security), sha256(security)), (Source::Default, default.clone()));
    };
    after(&security);
    drop(security);
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
    let security = appliance.start(BOTH);
    let before = sha256(&security);
    let refused = security.replace_certificate(&Actor::Local, Some(b"x"), b"y", SystemTime::now());
    assert!(matches!(refused, Err(Error::Invalid(_))));
    assert!(matches!(security.set_password(&Actor::Local, ""), Err(Error::Invalid(_))));
    assert_eq!((password(&security), sha256(&security)), ("unset", before));
    assert!(!appliance.path("admin.htpasswd").exists());
}

#[test]
fn a_request_waits_over_restarts_until_a_certificate_of_its_key_comes() {
    let appliance = Appliance::new();
    let security = appliance.start(BOTH);
    let now = SystemTime::now();
    let wanted = || Wanted::new(&["box.example".to_owned()], None, &[], KeyType::P256).unwrap();
    let request = security.make_request(&Actor::Local, wanted(), now).unwrap();
    assert_eq!(
        (request.subject.as_str(), request.key_type.as_str()),
        ("CN=box.example", "ECDSA-P256")
    );
    assert_eq!(request.names, ["box.example"]);
    assert!(matches!(security.make_request(&Actor::Local, wanted(), now), Err(Error::Conflict(_))));

    let foreign = root("Example");
    let refused = security.replace_certificate(&Actor::Local, None, foreign.pem().as_bytes(), now);
    let Err(Error::Invalid(sentence)) = refused else { panic!("{refused:?}") };
    assert!(sentence.contains("the key of the pending request, made at 20"), "{sentence}");
    assert!(sentence.contains(&request.key_sha256), "{sentence}");

    drop(security);
    let security = appliance.start(BOTH);
    assert_eq!(security.request(), Some(request));
    let issued = issued_for(&appliance.text("tls/request.pem"));
    security.replace_certificate(&Actor::Local, None, issued.as_bytes(), now).unwrap();
    assert_eq!((source(&security), security.request()), (Source::Uploaded, None));
    assert!(!appliance.path("tls/request.pem").exists());

    // A renewal with the key in force.
    security.replace_certificate(&Actor::Local, None, issued.as_bytes(), now).unwrap();
}

#[test]
fn a_request_is_dropped_by_hand_by_reset_and_when_its_certificate_is_there_already() {
    let appliance = Appliance::new();
    let mut security = appliance.start(BOTH);
    let now = SystemTime::now();
    let make = |security: &SecuritySettings| {
        let wanted = Wanted::new(&["box.example".to_owned()], None, &[], KeyType::P256).unwrap();
        security.make_request(&Actor::Local, wanted, now).unwrap();
    };
    make(&security);
    assert!(security.drop_request(&Actor::Local).unwrap());
    assert!(!security.drop_request(&Actor::Local).unwrap());
    make(&security);
    security.reset(&Actor::Local).unwrap();
    assert_eq!((security.request(), appliance.path("tls/request.pem").exists()), (None, false));

    // As a power cut between the two changes would leave it.
    make(&security);
    let file = appliance.text("tls/request.pem");
    security.replace_certificate(&Actor::Local, None, issued_for(&file).as_bytes(), now).unwrap();
    drop(security);
    appliance.put("tls/request.pem", &file);
    security = appliance.start(BOTH);
    assert_eq!((security.request(), appliance.path("tls/request.pem").exists()), (None, false));

    drop(security);
    appliance.put("tls/request.pem", "x");
    security = appliance.start(BOTH);
    assert_eq!((security.request(), appliance.damaged("tls/request.pem").len()), (None, 1));
    make(&security);
}

/// A certificate of the key in a request's file.
fn issued_for(file: &str) -> String {
    let key = &file[file.find("-----BEGIN PRIVATE").unwrap()..];
    Made::of("box", KeyPair::from_pem(key).unwrap()).pem()
}

#[test]
fn unsetting_the_password_means_off_on_v2_alone_and_unset_where_v1_is_mounted() {
    for (api, expected) in [(V1, "unset"), (V2, "off"), (BOTH, "unset")] {
        let appliance = Appliance::new();
        let security = appliance.start(api);
        appliance.put("admin.htpasswd", LINE);
        security.reload();
        assert_eq!(password(&security), "set");
        security.unset_password(&Actor::Local).unwrap();
        assert_eq!(password(&security), expected);
        drop(security);
        let security = appliance.start(api);
        assert_eq!(password(&security), expected);
        assert!(!appliance.path("admin.htpasswd").exists());
    }
}

#[test]
fn a_password_file_always_means_authentication_whatever_the_settings_say() {
    let appliance = Appliance::new();
    let security = appliance.start(V2);
    security.unset_password(&Actor::Local).unwrap();
    assert!(appliance.text("security.json").contains(r#""authentication": "off""#));
    appliance.put("admin.htpasswd", LINE);
    security.reload();
    assert_eq!(password(&security), "set");
    drop(security);
    assert_eq!(password(&appliance.start(V2)), "set");
}

#[test]
fn authentication_turned_off_on_v2_does_not_carry_over_to_both() {
    let appliance = Appliance::new();
    appliance.start(V2).unset_password(&Actor::Local).unwrap();
    assert_eq!(password(&appliance.start(BOTH)), "unset");
}

#[test]
fn two_instances_cannot_have_the_same_folder() {
    let appliance = Appliance::new();
    let _first = appliance.start(BOTH);
    let second = SecuritySettings::open(&appliance.state, BOTH, Log::to(|_| {}));
    assert!(second.unwrap_err().to_string().contains("another applianced"));
}
