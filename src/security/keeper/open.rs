//! A start: reading what the disk holds, finishing what a power cut interrupted, and putting the
//! safe side in the place of what is damaged.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::super::addresses::Host;
use super::super::files::{self, Found, Stamp};
use super::super::settings::Settings;
use super::super::{Identity, Source, certificate, default_certificate};
use super::{Kept, LOCKED, SecuritySettings, Seen, State, finish_discard};
use crate::config::Api;
use crate::log::Log;
use crate::store::Folder;
use crate::util::published::Published;
use crate::util::utc;

impl SecuritySettings {
    /// Takes the state folder (made with mode 0700 if absent), finishes a change that a power cut
    /// interrupted, and makes the default certificate at the first start.
    ///
    /// # Errors
    /// When the folder can't be used: open to others, in use by another instance, not writable.
    /// Damaged files are no error: they are logged, and the safe side of each is in force.
    pub(crate) fn open(state_dir: &Path, api: Api, log: Log) -> Result<SecuritySettings, String> {
        let folder = Folder::open(state_dir, &files::SUBFOLDERS).map_err(|e| e.to_string())?;
        let now = SystemTime::now();
        let (mut settings, mut settings_stamp) = settings(&folder, now, &log);
        if let Err(error) = finish_discard(&folder, &mut settings, &mut settings_stamp, now) {
            log.error(format_args!("a reset is in force, but could not be tidied up: {error}"));
        }
        let (password, password_stamp) = password(&folder, &settings, &log);
        let (default, default_stamp) = default(&folder, now, &log)?;
        let (uploaded, uploaded_stamp) = uploaded(&folder, &settings, now, &log);
        let seen = Seen {
            settings: settings_stamp,
            password: password_stamp,
            default: default_stamp,
            uploaded: uploaded_stamp,
        };
        let state = State { settings, password, default, uploaded, seen };
        Ok(SecuritySettings {
            rules: Arc::new(Published::new(state.rules(api))),
            identity: Arc::new(Published::new(state.identity().clone())),
            folder: Arc::new(folder),
            api,
            log,
            state: Mutex::new(state),
        })
    }
}

fn settings(folder: &Folder, now: SystemTime, log: &Log) -> (Settings, Stamp) {
    const SAFE: &str = "plain HTTP is off and authentication on until the setting is made again";
    let reading = files::settings(folder.view());
    match reading.found {
        Found::Good(settings) => (settings, reading.stamp),
        Found::Absent => (Settings::DEFAULT, reading.stamp),
        Found::Untrusted(sentence) => {
            log.error(format_args!("{sentence}; until then plain HTTP is off"));
            (Settings::SAFE_SIDE, reading.stamp)
        }
        Found::Damaged(reason) => {
            let contents = Settings::SAFE_SIDE.to_file();
            // Written down at once: without this file the next start would take the defaults.
            match folder.set_aside_and_replace(files::SETTINGS, &contents, now) {
                Ok(aside) => {
                    log.error(format_args!("{reason}; kept as {}; {SAFE}", aside.display()));
                    (Settings::SAFE_SIDE, files::stamp(&contents))
                }
                Err(error) => {
                    log.error(format_args!("{reason}; {SAFE}; {error}"));
                    (Settings::SAFE_SIDE, reading.stamp)
                }
            }
        }
    }
}

fn password(folder: &Folder, settings: &Settings, log: &Log) -> (Kept, Stamp) {
    let reading = files::password(folder.view());
    match reading.found {
        _ if settings.discard.contains(&files::PASSWORD) => (Kept::Absent, reading.stamp),
        Found::Absent => (Kept::Absent, reading.stamp),
        Found::Good(hash) => (Kept::Hash(hash), reading.stamp),
        Found::Damaged(reason) | Found::Untrusted(reason) => {
            log.error(format_args!("{reason}; {LOCKED}"));
            (Kept::Bad, reading.stamp)
        }
    }
}

fn default(folder: &Folder, now: SystemTime, log: &Log) -> Result<(Identity, Stamp), String> {
    let reading = files::identity(folder.view(), Source::Default);
    match reading.found {
        Found::Good(identity) => return Ok((identity, reading.stamp)),
        Found::Absent => log.info("making the default certificate: this is the first start"),
        Found::Damaged(reason) | Found::Untrusted(reason) => {
            let kept = match folder.set_aside(files::DEFAULT, now) {
                Ok(aside) => format!("kept as {}", aside.display()),
                Err(error) => error.to_string(),
            };
            log.error(format_args!("{reason}; {kept}; a new default certificate is made"));
        }
    }
    let text = default_certificate::make(now, &Host::look())?;
    let identity = certificate::from_file(text.as_bytes(), Source::Default)?;
    if let Err(error) = folder.replace(files::DEFAULT, text.as_bytes()) {
        // Served all the same: an appliance that can't be reached can't be mended.
        log.error(format_args!("the default certificate changes at the next start: {error}"));
    }
    Ok((identity, files::stamp(text.as_bytes())))
}

fn uploaded(
    folder: &Folder,
    settings: &Settings,
    now: SystemTime,
    log: &Log,
) -> (Option<Identity>, Stamp) {
    let reading = files::identity(folder.view(), Source::Uploaded);
    match reading.found {
        _ if settings.discard.contains(&files::UPLOADED) => {}
        Found::Absent => {}
        Found::Good(identity) => {
            if let Some(fault) = identity.summary.date_fault(utc::unix_seconds(now)) {
                log.warn(format_args!("the uploaded certificate is served, but {fault}"));
            }
            return (Some(identity), reading.stamp);
        }
        Found::Untrusted(sentence) => {
            log.error(format_args!("{sentence}; until then the default certificate serves"));
        }
        Found::Damaged(reason) => {
            let kept = match folder.set_aside(files::UPLOADED, now) {
                Ok(aside) => format!("kept as {}", aside.display()),
                Err(error) => error.to_string(),
            };
            log.error(format_args!(
                "{reason}; {kept}; the default certificate serves: upload yours again"
            ));
            return (None, files::absent());
        }
    }
    (None, reading.stamp)
}
