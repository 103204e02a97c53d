//! Reads files that were changed by hand, or whose writing failed.
//!
//! The administrator may still be editing: nothing is set aside here, and a bad certificate or settings
//! file leaves the old one in force. Only a bad password or job token file takes effect, by locking.

use std::time::SystemTime;

use super::{LOCKED, NO_TOKEN, SecuritySettings, State};
use crate::security::files::{self, Found, Reading};
use crate::security::settings_file::SettingsFile;
use crate::security::{Identity, JobToken, Password, Source};
use crate::util::utc;

impl SecuritySettings {
    /// Reads all files again; unchanged ones change and log nothing.
    pub(crate) fn reload(&self) {
        self.reload_files(&mut self.lock());
    }

    pub(super) fn reload_files(&self, state: &mut State) {
        self.reload_settings(state);
        self.reload_password(state);
        self.reload_job_token(state);
        self.reload_default(state);
        self.reload_uploaded(state);
        self.reload_request(state);
        self.reload_acme(state);
        self.publish(state);
    }

    fn reload_settings(&self, state: &mut State) {
        let Some(found) = changed(state, &files::settings(self.folder.view())) else { return };
        let settings = match found {
            Found::Good(settings) => settings,
            Found::Absent => SettingsFile::DEFAULT,
            Found::Damaged(reason) | Found::Untrusted(reason) => {
                self.log.error(format_args!("{reason}; keeping the current settings"));
                return;
            }
        };
        let word = if settings.plain_http { "on" } else { "off" };
        self.log.security(format_args!("security.json has changed: plain HTTP is {word}"));
        state.forget(&settings.discard);
        state.settings = settings;
        if let Err(error) = self.finish_discard(state) {
            self.log.error(format_args!(
                "the reset is in force, but its old files could not be removed: {error}"
            ));
        }
    }

    fn reload_password(&self, state: &mut State) {
        let Some(found) = changed(state, &files::password(self.folder.view())) else { return };
        state.password = match found {
            Found::Absent => {
                self.log.security("admin.htpasswd was removed: no password is set");
                None
            }
            Found::Good(hash) => {
                self.log.security("admin.htpasswd has changed: its password is in force");
                Some(Password::Set(hash))
            }
            Found::Damaged(reason) | Found::Untrusted(reason) => {
                self.log.error(format_args!("{reason}; {LOCKED}"));
                Some(Password::Locked)
            }
        };
    }

    fn reload_job_token(&self, state: &mut State) {
        let Some(found) = changed(state, &files::job_token(self.folder.view())) else { return };
        state.job_token = match found {
            Found::Absent => {
                self.log.security("job-token.json was removed: speech is open");
                JobToken::Unset
            }
            Found::Good(hash) => {
                self.log.security("job-token.json has changed: its token is in force");
                JobToken::Set(hash)
            }
            Found::Damaged(reason) | Found::Untrusted(reason) => {
                self.log.error(format_args!("{reason}; {NO_TOKEN}"));
                JobToken::Locked
            }
        };
    }

    fn reload_default(&self, state: &mut State) {
        let Some(found) = changed(state, &files::identity(self.folder.view(), Source::Default))
        else {
            return;
        };
        match self.acceptable(found) {
            Some(Some(identity)) => {
                let sha256 = &identity.summary.sha256;
                self.log.security(format_args!("tls/default.pem has changed: sha256 {sha256}"));
                state.default = identity;
            }
            Some(None) => self.log.warn(
                "tls/default.pem was removed: its certificate stays in use until the next start makes another",
            ),
            None => {}
        }
    }

    fn reload_uploaded(&self, state: &mut State) {
        let Some(found) = changed(state, &files::identity(self.folder.view(), Source::Uploaded))
        else {
            return;
        };
        match self.acceptable(found) {
            Some(Some(identity)) => {
                let sha256 = &identity.summary.sha256;
                self.log.security(format_args!("tls/uploaded.pem has changed: sha256 {sha256}"));
                state.uploaded = Some(identity);
            }
            Some(None) => {
                self.log
                    .security("tls/uploaded.pem was removed: the default certificate is in use");
                state.uploaded = None;
            }
            None => {}
        }
    }

    fn reload_request(&self, state: &mut State) {
        let Some(found) = changed(state, &files::request(self.folder.view())) else { return };
        state.request = match found {
            Found::Absent => {
                self.log.security("tls/request.pem was removed: no certificate request is pending");
                None
            }
            Found::Good(request) => {
                let sha256 = &request.public.key_sha256;
                self.log.security(format_args!("tls/request.pem has changed: its key is {sha256}"));
                Some(request)
            }
            Found::Damaged(reason) | Found::Untrusted(reason) => {
                self.log.error(format_args!("{reason}; no certificate request is pending"));
                None
            }
        };
    }

    fn reload_acme(&self, state: &mut State) {
        let Some(found) = changed(state, &files::acme(self.folder.view())) else { return };
        state.acme = match found {
            Found::Absent => {
                self.log.security("acme.json was removed: no certificate is fetched");
                None
            }
            Found::Good(acme) => {
                self.log.security("acme.json has changed");
                Some(acme)
            }
            Found::Damaged(reason) | Found::Untrusted(reason) => {
                self.log.error(format_args!("{reason}; no certificate is fetched"));
                None
            }
        };
    }

    /// `None` keeps the certificate in service; `Some(None)` means an absent file.
    fn acceptable(&self, found: Found<Identity>) -> Option<Option<Identity>> {
        let reason = match found {
            Found::Absent => return Some(None),
            Found::Good(identity) => {
                match identity.summary.date_error(utc::unix_seconds(SystemTime::now())) {
                    None => return Some(Some(identity)),
                    Some(error) => {
                        format!("the new {} certificate {error}", identity.summary.source.name())
                    }
                }
            }
            Found::Damaged(reason) | Found::Untrusted(reason) => reason,
        };
        self.log.error(format_args!("{reason}; keeping the current certificate"));
        None
    }
}

/// What a file says now; `None` if that is `known` already, or a reset has discarded the file.
fn changed<T>(state: &mut State, reading: &Reading<T>) -> Option<Found<T>> {
    let name = reading.name;
    let is_known = state.settings.discard.contains(&name)
        || state.digests.insert(name, reading.digest) == Some(reading.digest);
    (!is_known).then(|| reading.parse())
}
