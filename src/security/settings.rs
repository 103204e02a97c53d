//! Changes certificate, password, job token and plain HTTP.
//!
//! One mutex guards the state of the disk; slow work (hashing, checking an upload) is done before it is
//! locked. A change is written first, published second, answered third. The gate only reads the
//! published values and never waits here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::acme::AcmeFile;
use super::files::{self, FileDigest};
use super::settings_file::SettingsFile;
use super::{
    Actor, Challenges, Error, Identity, JobToken, Password, PasswordHash, PendingRequest, Rules,
    Summary, certificate, names,
};
use crate::config::{Acme, Api};
use crate::log::Log;
use crate::store::{self, Folder};
use crate::util::published::Published;
use crate::util::utc;

mod acme;

mod default;

mod job_token;

mod open;

mod reload;

mod request;

#[cfg(test)]
mod tests;

/// Holds the state folder's lock, so there is one per appliance.
#[derive(Debug)]
pub(crate) struct SecuritySettings {
    folder: Arc<Folder>,
    api: Api,
    log: Log,
    state: Mutex<State>,
    costly: Mutex<()>,
    /// What the settings ask for.
    acme_default: Option<Acme>,
    rules: Arc<Published<Rules>>,
    identity: Arc<Published<Identity>>,
    challenges: Arc<Published<Challenges>>,
}

/// A certificate that was put in service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) summary: Summary,
    /// Whether that ended ACME.
    pub(crate) ended_acme: bool,
}

/// The contents of the files, as far as they can be trusted.
#[derive(Debug)]
struct State {
    settings: SettingsFile,
    /// What the password file holds; `None` if there is none.
    password: Option<Password>,
    job_token: JobToken,
    default: Identity,
    uploaded: Option<Identity>,
    request: Option<PendingRequest>,
    acme: Option<AcmeFile>,
    digests: Digests,
}

/// The digest of each file as it was last read or written, by the file's name.
type Digests = BTreeMap<&'static str, FileDigest>;

impl SecuritySettings {
    /// The rules in force.
    pub(crate) fn rules(&self) -> &Arc<Published<Rules>> {
        &self.rules
    }

    /// The certificate in force.
    pub(crate) fn identity(&self) -> &Arc<Published<Identity>> {
        &self.identity
    }

    /// The ACME challenges that the gate answers.
    pub(crate) fn challenges(&self) -> &Arc<Published<Challenges>> {
        &self.challenges
    }

    /// The locked state folder, for the other rooms that keep files in it.
    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Puts an uploaded certificate in service. Without `keyfile` its key is that of the pending request or
    /// the one in force. It ends ACME, which would replace it again. The commit point is the replacement of
    /// `tls/uploaded.pem`.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong with the files and how to repair it.
    pub(crate) fn replace_certificate(
        &self,
        by: &Actor,
        keyfile: Option<&[u8]>,
        certfile: &[u8],
        now: SystemTime,
    ) -> Result<Applied, Error> {
        let seconds = utc::unix_seconds(now);
        let checked = match keyfile {
            Some(keyfile) => certificate::from_upload(keyfile, certfile, seconds),
            None => self.check_for_own_key(certfile, seconds),
        };
        let (identity, text) = checked.map_err(Error::Invalid)?;
        let mut state = self.lock();
        // First, because after a power cut between the two it would replace the new certificate.
        let ended_acme = self.remove_acme(&mut state)?;
        if ended_acme {
            self.log.security_by(
                by.address(),
                format_args!("ACME ended by {by}, by an upload of a certificate"),
            );
        }
        let summary = self.put_in_service(&mut state, identity, &text, by)?;
        Ok(Applied { summary, ended_acme })
    }

    fn put_in_service(
        &self,
        state: &mut State,
        identity: Identity,
        text: &str,
        by: &Actor,
    ) -> Result<Summary, Error> {
        self.write(state, names::UPLOADED, text.as_bytes())?;
        let summary = identity.summary.clone();
        let event = format!(
            "certificate replaced by {by}: {}, sha256 {}, valid until {}",
            summary.subject,
            summary.sha256,
            utc::format(summary.not_after)
        );
        state.uploaded = Some(identity);
        self.publish(state);
        self.log.security_by(by.address(), event);
        self.drop_used_request(state);
        Ok(summary)
    }

    /// Switches plain HTTP. The commit point is the replacement of `security.json`.
    pub(crate) fn set_plain_http(&self, by: &Actor, enabled: bool) -> Result<(), Error> {
        let mut state = self.lock();
        let authentication = state.settings.authentication;
        let settings = SettingsFile { plain_http: enabled, authentication, discard: Vec::new() };
        self.commit(&mut state, settings)?;
        self.publish(&state);
        let word = if enabled { "enabled" } else { "disabled" };
        self.log.security_by(by.address(), format_args!("plain HTTP {word} by {by}"));
        Ok(())
    }

    /// Sets the password, and with it authentication. The commit point is the replacement of
    /// `admin.htpasswd`.
    ///
    /// # Errors
    /// [`Error::Invalid`] says which rule the password breaks.
    pub(crate) fn set_password(&self, by: &Actor, password: &str) -> Result<(), Error> {
        let hash = self.one_at_a_time(|| PasswordHash::new(password)).map_err(Error::Invalid)?;
        let line = hash.to_line();
        let mut state = self.lock();
        self.write(&mut state, names::PASSWORD, line.as_bytes())?;
        state.password = Some(Password::Set(hash));
        self.publish(&state);
        self.log.security_by(by.address(), format_args!("admin password set by {by}"));
        Ok(())
    }

    /// Removes the password. If v1 is mounted it is unset then, so that v2 paths fall back to
    /// `admin`:`admin` (M2-14, the stricter rule); with v2 alone authentication is off (MA-14).
    pub(crate) fn unset_password(&self, by: &Actor) -> Result<(), Error> {
        let mut state = self.lock();
        let settings = SettingsFile {
            authentication: self.api.v1,
            discard: vec![names::PASSWORD],
            ..state.settings.clone()
        };
        self.commit(&mut state, settings)?;
        self.publish(&state);
        let word = if self.api.v1 { "unset" } else { "unset and authentication turned off" };
        self.log.security_by(by.address(), format_args!("admin password {word} by {by}"));
        Ok(())
    }

    /// Restores the default certificate, removes the password and the job token, and turns plain HTTP on. The commit
    /// point is the replacement of `security.json`, which names the files that count as removed from then on.
    pub(crate) fn reset(&self, by: &Actor) -> Result<(), Error> {
        let mut state = self.lock();
        let had_acme = matches!(state.acme, Some(AcmeFile::On(_)));
        let settings =
            SettingsFile { discard: names::DISCARDABLE.to_vec(), ..SettingsFile::DEFAULT };
        self.commit(&mut state, settings)?;
        self.publish(&state);
        let acme = if had_acme { ", ACME ended" } else { "" };
        self.log.security_by(
            by.address(),
            format_args!(
                "security reset by {by}: default certificate, no password, no job token, plain HTTP enabled{acme}"
            ),
        );
        self.follow_settings(&mut state)
    }

    /// Makes a hash or a key, while others wait: many of these calls at once must not take the processors from
    /// everybody else.
    pub(in crate::security) fn one_at_a_time<T>(&self, make: impl FnOnce() -> T) -> T {
        let _turn = self.costly.lock().unwrap_or_else(PoisonError::into_inner);
        make()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is changed only after the disk, one whole field at a time, so a panic elsewhere
        // leaves it consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes what has changed; an unchanged value keeps its snapshot, and with it whatever the
    /// gate derived from it.
    fn publish(&self, state: &State) {
        let rules = state.rules(self.api);
        if *self.rules.snapshot() != rules {
            self.rules.publish(rules);
        }
        let identity = state.identity();
        if !Arc::ptr_eq(&self.identity.snapshot().certified, &identity.certified) {
            self.identity.publish(identity.clone());
        }
    }

    /// Replaces `security.json`, which commits the change. The files it names are removed now, or at the next
    /// start if that fails.
    fn commit(&self, state: &mut State, settings: SettingsFile) -> Result<(), Error> {
        self.write(state, names::SETTINGS, &settings.to_file())?;
        state.forget(&settings.discard);
        for name in &settings.discard {
            state.digests.insert(name, files::absent());
        }
        state.settings = settings;
        if let Err(error) = self.finish_discard(state) {
            self.log.error(format_args!(
                "the change is in force, but old files could not be removed: {error}"
            ));
        }
        Ok(())
    }

    /// Writes one file; if that fails, reads all files again.
    fn write(&self, state: &mut State, name: &'static str, contents: &[u8]) -> Result<(), Error> {
        // An unfinished discard would remove the new file at the next start.
        let written = self.finish_discard(state).and_then(|()| {
            if files::is_bad(self.folder.view(), name) {
                let aside = self.folder.set_aside_and_replace(name, contents, SystemTime::now())?;
                self.log.warn(format_args!("the damaged {name} is kept as {}", aside.display()));
                Ok(())
            } else {
                self.folder.replace(name, contents)
            }
        });
        written.map_err(|error| {
            self.log.error(format_args!("a security setting could not be changed: {error}"));
            self.reload_files(state);
            Error::Failed(format!(
                "the change could not be saved: {error}. What is on the disk stays in force"
            ))
        })?;
        state.digests.insert(name, files::digest(contents));
        Ok(())
    }

    /// Removes one file and lets go of its value; `what` is told if that fails.
    fn remove(&self, state: &mut State, name: &'static str, what: &str) -> Result<(), Error> {
        let removed = self.folder.remove(name);
        removed.map_err(|error| self.failed(format!("{what}: {error}")))?;
        state.forget(&[name]);
        state.digests.insert(name, files::absent());
        Ok(())
    }

    fn failed(&self, error: String) -> Error {
        self.log.error(&error);
        Error::Failed(error)
    }

    fn finish_discard(&self, state: &mut State) -> Result<(), store::Error> {
        let now = SystemTime::now();
        finish_discard(&self.folder, &mut state.settings, &mut state.digests, now)
    }
}

impl State {
    fn rules(&self, api: Api) -> Rules {
        Rules {
            plain_http: self.settings.plain_http,
            password: match &self.password {
                Some(password) => password.clone(),
                None => without_password(&self.settings, api),
            },
            job_token: self.job_token.clone(),
        }
    }

    fn identity(&self) -> &Identity {
        self.uploaded.as_ref().unwrap_or(&self.default)
    }

    /// Lets go of the values of files that are removed.
    fn forget(&mut self, removed: &[&str]) {
        for name in removed {
            match *name {
                names::PASSWORD => self.password = None,
                names::JOB_TOKEN => self.job_token = JobToken::Unset,
                names::UPLOADED => self.uploaded = None,
                names::REQUEST => self.request = None,
                names::ACME => self.acme = None,
                _ => {} // the others always have a value
            }
        }
    }
}

/// The password state without a password file. "off" counts only while v2 is mounted alone; with v1
/// beside it the stricter rule wins.
pub(super) fn without_password(settings: &SettingsFile, api: Api) -> Password {
    if settings.authentication || api.v1 { Password::Unset } else { Password::Off }
}

/// What follows from a damaged password file, and how to repair it.
pub(super) const LOCKED: &str =
    "network logins are refused until the file is repaired, or security is reset on the console";

/// What follows from a damaged job token file, and how to repair it.
pub(super) const NO_TOKEN: &str =
    "no job token is accepted until one is set with POST jobtoken, or removed with DELETE jobtoken";

/// Removes the files that a committed change discarded, and then their names from the settings.
///
/// Damaged files are kept aside; the administrator asked for their absence.
fn finish_discard(
    folder: &Folder,
    settings: &mut SettingsFile,
    digests: &mut Digests,
    now: SystemTime,
) -> Result<(), store::Error> {
    if settings.discard.is_empty() {
        return Ok(());
    }
    for name in &settings.discard {
        if files::is_bad(folder.view(), name) {
            folder.set_aside(name, now)?;
        } else {
            folder.remove(name)?;
        }
    }
    let finished = SettingsFile { discard: Vec::new(), ..settings.clone() };
    let contents = finished.to_file();
    folder.replace(names::SETTINGS, &contents)?;
    digests.insert(names::SETTINGS, files::digest(&contents));
    *settings = finished;
    Ok(())
}
