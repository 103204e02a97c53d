//! Start: reads the files, finishes what a power cut interrupted, and replaces damaged settings by safe
//! ones.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::{Digests, SecuritySettings, State, finish_discard};
use crate::config::Api;
use crate::log::Log;
use crate::security::acme::AcmeFile;
use crate::security::addresses::Host;
use crate::security::files::{self, FileDigest, Found, Reading};
use crate::security::settings_file::SettingsFile;
use crate::security::{
    Challenges, Error, Identity, PendingRequest, Source, certificate, default_certificate, names,
};
use crate::store::Folder;
use crate::util::published::Published;
use crate::util::utc;

impl SecuritySettings {
    /// Locks the state folder (created with mode 0700 if absent), finishes a change that a power cut
    /// interrupted, and makes the default certificate at the first start.
    ///
    /// # Errors
    /// When the folder can't be used: open to others, in use by another instance, not writable.
    /// Damaged files are no error: they are logged, and the safe choice is in force for each.
    pub(crate) fn open(state_dir: &Path, api: Api, log: Log) -> Result<SecuritySettings, Error> {
        let folder = Folder::open(state_dir, &names::SUBFOLDERS)
            .map_err(|e| Error::Failed(e.to_string()))?;
        let now = SystemTime::now();
        let (mut settings, settings_digest) = settings(&folder, now, &log);
        let mut digests = Digests::new();
        digests.insert(names::SETTINGS, settings_digest);
        if let Err(error) = finish_discard(&folder, &mut settings, &mut digests, now) {
            log.error(format_args!(
                "the reset is in force, but its old files could not be removed: {error}"
            ));
        }
        let (password, password_digest) =
            files::password_in_force(folder.view(), &settings, |fault| log.error(fault));
        let (job_token, job_token_digest) =
            files::job_token_in_force(folder.view(), &settings, |fault| log.error(fault));
        let (default, default_digest) = default(&folder, now, &log).map_err(Error::Failed)?;
        let optional = Optional { folder: &folder, settings: &settings, now, log: &log };
        let (uploaded, uploaded_digest) = optional.uploaded();
        let (request, request_digest) = optional.request();
        let (acme, acme_digest) = optional.acme();
        if let (None, Some(warning)) = (&uploaded, default.summary.outdated()) {
            log.warn(warning);
        }
        for (name, digest) in [
            (names::PASSWORD, password_digest),
            (names::JOB_TOKEN, job_token_digest),
            (names::DEFAULT, default_digest),
            (names::UPLOADED, uploaded_digest),
            (names::REQUEST, request_digest),
            (names::ACME, acme_digest),
        ] {
            digests.insert(name, digest);
        }
        let state =
            State { settings, password, job_token, default, uploaded, request, acme, digests };
        let opened = SecuritySettings {
            rules: Arc::new(Published::new(state.rules(api))),
            identity: Arc::new(Published::new(state.identity().clone())),
            challenges: Arc::new(Published::new(Challenges::default())),
            folder: Arc::new(folder),
            api,
            log,
            state: Mutex::new(state),
            costly: Mutex::new(()),
            acme_default: None,
        };
        opened.drop_used_request(&mut opened.lock());
        Ok(opened)
    }
}

fn settings(folder: &Folder, now: SystemTime, log: &Log) -> (SettingsFile, FileDigest) {
    const SAFE: &str = "plain HTTP is off and authentication on until they are set again";
    let reading = files::settings(folder.view());
    match reading.parse() {
        Found::Good(settings) => (settings, reading.digest),
        Found::Absent => (SettingsFile::DEFAULT, reading.digest),
        Found::Untrusted(sentence) => {
            log.error(format_args!("{sentence}; until then plain HTTP is off"));
            (SettingsFile::FAIL_CLOSED, reading.digest)
        }
        Found::Damaged(reason) => {
            let contents = SettingsFile::FAIL_CLOSED.to_file();
            // Written at once, because without this file the next start would use the defaults.
            match folder.set_aside_and_replace(names::SETTINGS, &contents, now) {
                Ok(aside) => {
                    log.error(format_args!("{reason}; kept as {}; {SAFE}", aside.display()));
                    (SettingsFile::FAIL_CLOSED, files::digest(&contents))
                }
                Err(error) => {
                    log.error(format_args!("{reason}; {SAFE}; {error}"));
                    (SettingsFile::FAIL_CLOSED, reading.digest)
                }
            }
        }
    }
}

fn default(folder: &Folder, now: SystemTime, log: &Log) -> Result<(Identity, FileDigest), String> {
    let reading = files::identity(folder.view(), Source::Default);
    match reading.parse() {
        Found::Good(identity) => return Ok((identity, reading.digest)),
        Found::Absent => log.info("first start: making the default certificate"),
        Found::Damaged(reason) | Found::Untrusted(reason) => {
            let kept = folder.set_aside_told(names::DEFAULT, now);
            log.error(format_args!("{reason}; {kept}; making a new default certificate"));
        }
    }
    let text = default_certificate::make(now, &Host::detect())?;
    let identity = certificate::from_file(text.as_bytes(), Source::Default)?;
    if let Err(error) = folder.replace(names::DEFAULT, text.as_bytes()) {
        // Served anyway, because an appliance that can't be reached can't be repaired.
        log.error(format_args!(
            "cannot save the default certificate, so the next start makes another: {error}"
        ));
    }
    Ok((identity, files::digest(text.as_bytes())))
}

/// Reads files that need not be there: what each says, unless a reset has discarded it, and its digest.
struct Optional<'a> {
    folder: &'a Folder,
    settings: &'a SettingsFile,
    now: SystemTime,
    log: &'a Log,
}

impl Optional<'_> {
    fn uploaded(&self) -> (Option<Identity>, FileDigest) {
        let reading = files::identity(self.folder.view(), Source::Uploaded);
        let untrusted = "until then the default certificate is in use";
        let damaged = "the default certificate is in use: upload yours again";
        let (identity, digest) = self.read(&reading, untrusted, damaged);
        let now = utc::unix_seconds(self.now);
        if let Some(error) = identity.as_ref().and_then(|it| it.summary.date_error(now)) {
            self.log.warn(format_args!("the uploaded certificate is in use, but {error}"));
        }
        (identity, digest)
    }

    fn request(&self) -> (Option<PendingRequest>, FileDigest) {
        let reading = files::request(self.folder.view());
        let untrusted = "until then there is no pending request";
        let damaged = "there is no pending request: make another";
        self.read(&reading, untrusted, damaged)
    }

    fn acme(&self) -> (Option<AcmeFile>, FileDigest) {
        let reading = files::acme(self.folder.view());
        let untrusted = "until then no certificate is fetched";
        let damaged = "no certificate is fetched: set ACME again";
        self.read(&reading, untrusted, damaged)
    }

    /// Sets a damaged file aside. `untrusted` and `damaged` say what holds without the file, and what to do.
    fn read<T>(
        &self,
        reading: &Reading<T>,
        untrusted: &str,
        damaged: &str,
    ) -> (Option<T>, FileDigest) {
        match reading.parse() {
            _ if self.settings.discard.contains(&reading.name) => {}
            Found::Absent => {}
            Found::Good(value) => return (Some(value), reading.digest),
            Found::Untrusted(sentence) => {
                self.log.error(format_args!("{sentence}; {untrusted}"));
            }
            Found::Damaged(reason) => {
                let kept = self.folder.set_aside_told(reading.name, self.now);
                self.log.error(format_args!("{reason}; {kept}; {damaged}"));
                return (None, files::absent());
            }
        }
        (None, reading.digest)
    }
}
