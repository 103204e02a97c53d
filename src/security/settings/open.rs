//! Start: reads the files, finishes what a power cut interrupted, and replaces damaged settings by safe
//! ones.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::{FileDigests, SecuritySettings, State, finish_discard};
use crate::config::Api;
use crate::log::Log;
use crate::security::acme::AcmeFile;
use crate::security::addresses::Host;
use crate::security::files::{self, FileDigest, Found};
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
        let (mut settings, mut settings_digest) = settings(&folder, now, &log);
        if let Err(error) = finish_discard(&folder, &mut settings, &mut settings_digest, now) {
            log.error(format_args!(
                "the reset is in force, but its old files could not be removed: {error}"
            ));
        }
        let (password, password_digest) =
            files::password_in_force(folder.view(), &settings, |fault| log.error(fault));
        let (job_token, job_token_digest) =
            files::job_token_in_force(folder.view(), &settings, |fault| log.error(fault));
        let (default, default_digest) = default(&folder, now, &log).map_err(Error::Failed)?;
        let (uploaded, uploaded_digest) = uploaded(&folder, &settings, now, &log);
        let (request, request_digest) = request(&folder, &settings, now, &log);
        let (acme, acme_digest) = acme(&folder, &settings, now, &log);
        if let (None, Some(warning)) = (&uploaded, default.summary.outdated()) {
            log.warn(warning);
        }
        let digests = FileDigests {
            settings: settings_digest,
            password: password_digest,
            job_token: job_token_digest,
            default: default_digest,
            uploaded: uploaded_digest,
            request: request_digest,
            acme: acme_digest,
        };
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
            let kept = match folder.set_aside(names::DEFAULT, now) {
                Ok(aside) => format!("kept as {}", aside.display()),
                Err(error) => error.to_string(),
            };
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

fn request(
    folder: &Folder,
    settings: &SettingsFile,
    now: SystemTime,
    log: &Log,
) -> (Option<PendingRequest>, FileDigest) {
    let reading = files::request(folder.view());
    match reading.parse() {
        _ if settings.discard.contains(&names::REQUEST) => {}
        Found::Absent => {}
        Found::Good(request) => return (Some(request), reading.digest),
        Found::Untrusted(sentence) => {
            log.error(format_args!("{sentence}; until then there is no pending request"));
        }
        Found::Damaged(reason) => {
            let kept = match folder.set_aside(names::REQUEST, now) {
                Ok(aside) => format!("kept as {}", aside.display()),
                Err(error) => error.to_string(),
            };
            log.error(format_args!("{reason}; {kept}; there is no pending request: make another"));
            return (None, files::absent());
        }
    }
    (None, reading.digest)
}

fn acme(
    folder: &Folder,
    settings: &SettingsFile,
    now: SystemTime,
    log: &Log,
) -> (Option<AcmeFile>, FileDigest) {
    let reading = files::acme(folder.view());
    match reading.parse() {
        _ if settings.discard.contains(&names::ACME) => {}
        Found::Absent => {}
        Found::Good(acme) => return (Some(acme), reading.digest),
        Found::Untrusted(sentence) => {
            log.error(format_args!("{sentence}; until then no certificate is fetched"));
        }
        Found::Damaged(reason) => {
            let kept = match folder.set_aside(names::ACME, now) {
                Ok(aside) => format!("kept as {}", aside.display()),
                Err(error) => error.to_string(),
            };
            log.error(format_args!("{reason}; {kept}; no certificate is fetched: set ACME again"));
            return (None, files::absent());
        }
    }
    (None, reading.digest)
}

fn uploaded(
    folder: &Folder,
    settings: &SettingsFile,
    now: SystemTime,
    log: &Log,
) -> (Option<Identity>, FileDigest) {
    let reading = files::identity(folder.view(), Source::Uploaded);
    match reading.parse() {
        _ if settings.discard.contains(&names::UPLOADED) => {}
        Found::Absent => {}
        Found::Good(identity) => {
            if let Some(error) = identity.summary.date_error(utc::unix_seconds(now)) {
                log.warn(format_args!("the uploaded certificate is in use, but {error}"));
            }
            return (Some(identity), reading.digest);
        }
        Found::Untrusted(sentence) => {
            log.error(format_args!("{sentence}; until then the default certificate is in use"));
        }
        Found::Damaged(reason) => {
            let kept = match folder.set_aside(names::UPLOADED, now) {
                Ok(aside) => format!("kept as {}", aside.display()),
                Err(error) => error.to_string(),
            };
            log.error(format_args!(
                "{reason}; {kept}; the default certificate is in use: upload yours again"
            ));
            return (None, files::absent());
        }
    }
    (None, reading.digest)
}
