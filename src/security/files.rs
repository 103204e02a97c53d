//! Reads the state files: their size limits, and whether their contents are good.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::acme::AcmeFile;
use super::job_token::{JobToken, JobTokenHash};
use super::settings::{LOCKED, NO_TOKEN};
use super::settings_file::SettingsFile;
use super::summary::Source;
use super::{Identity, Password, PasswordHash, PendingRequest, certificate, names, pem};
use crate::store::{self, View};

/// An uploaded chain and key are at most 1 MiB together; stored, they are hardly larger.
const MOST_PEM_BYTES: u64 = 2 * 1024 * 1024;
/// A password line has 67 bytes, the settings some 200; comments may be longer than that.
const MOST_TEXT_BYTES: u64 = 64 * 1024;

/// The result of reading a file.
#[derive(Debug)]
pub(super) enum Found<T> {
    Absent,
    Good(T),
    /// The file is ours, but its contents are invalid: `<path>: <reason>`.
    Damaged(String),
    /// Another user could have written the file, or it can't be read: a sentence with the repair command.
    Untrusted(String),
}

impl<T> Found<T> {
    pub(super) fn is_bad(&self) -> bool {
        matches!(self, Found::Damaged(_) | Found::Untrusted(_))
    }
}

/// A file as it was read once. It is parsed only when asked, because the daemon hears of its own changes too and
/// knows their digests.
pub(super) struct Reading<T> {
    pub(super) name: &'static str,
    path: PathBuf,
    contents: Result<Option<Zeroizing<Vec<u8>>>, store::Error>,
    parse: fn(&[u8]) -> Result<T, String>,
    /// Digest of the contents, or of the error; equal exactly if nothing has changed.
    pub(super) digest: FileDigest,
}

impl<T> Reading<T> {
    fn new(
        view: &View,
        name: &'static str,
        most_bytes: u64,
        parse: fn(&[u8]) -> Result<T, String>,
    ) -> Self {
        let contents = view.read(name, most_bytes);
        let digest = match &contents {
            Ok(None) => absent(),
            Ok(Some(contents)) => digest(contents),
            Err(e) => Sha256::new().chain_update([2]).chain_update(e.to_string()).finalize().into(),
        };
        Reading { name, path: view.path(name), contents, parse, digest }
    }

    pub(super) fn parse(&self) -> Found<T> {
        match &self.contents {
            Ok(None) => Found::Absent,
            Ok(Some(contents)) => (self.parse)(contents).map_or_else(
                |reason| Found::Damaged(format!("{}: {reason}", self.path.display())),
                Found::Good,
            ),
            Err(error) => Found::Untrusted(error.to_string()),
        }
    }
}

pub(super) type FileDigest = [u8; 32];

pub(super) fn settings(view: &View) -> Reading<SettingsFile> {
    Reading::new(view, names::SETTINGS, MOST_TEXT_BYTES, SettingsFile::from_file)
}

pub(super) fn password(view: &View) -> Reading<PasswordHash> {
    Reading::new(view, names::PASSWORD, MOST_TEXT_BYTES, PasswordHash::from_file)
}

/// The password that the file sets, at a start; `None` if there is none. A damaged or untrusted file, of which
/// `tell` gets a sentence, never counts as absent.
pub(super) fn password_in_force(
    view: &View,
    settings: &SettingsFile,
    tell: impl FnOnce(String),
) -> (Option<Password>, FileDigest) {
    let reading = password(view);
    let digest = reading.digest;
    let password = match reading.parse() {
        _ if settings.discard.contains(&names::PASSWORD) => None,
        Found::Absent => None,
        Found::Good(hash) => Some(Password::Set(hash)),
        Found::Damaged(reason) | Found::Untrusted(reason) => {
            tell(format!("{reason}; {LOCKED}"));
            Some(Password::Locked)
        }
    };
    (password, digest)
}

pub(super) fn job_token(view: &View) -> Reading<JobTokenHash> {
    Reading::new(view, names::JOB_TOKEN, MOST_TEXT_BYTES, JobTokenHash::from_file)
}

/// The job token at a start. A damaged or untrusted file, of which `tell` gets a sentence, never counts as absent.
pub(super) fn job_token_in_force(
    view: &View,
    settings: &SettingsFile,
    tell: impl FnOnce(String),
) -> (JobToken, FileDigest) {
    let reading = job_token(view);
    let digest = reading.digest;
    let token = match reading.parse() {
        _ if settings.discard.contains(&names::JOB_TOKEN) => JobToken::Unset,
        Found::Absent => JobToken::Unset,
        Found::Good(hash) => JobToken::Set(hash),
        Found::Damaged(reason) | Found::Untrusted(reason) => {
            tell(format!("{reason}; {NO_TOKEN}"));
            JobToken::Locked
        }
    };
    (token, digest)
}

/// Reads a certificate and its key. Dates are not checked, because an expired certificate in service is
/// better than a surprise.
pub(super) fn identity(view: &View, source: Source) -> Reading<Identity> {
    match source {
        Source::Default => Reading::new(view, names::DEFAULT, MOST_PEM_BYTES, |contents| {
            certificate::from_file(contents, Source::Default)
        }),
        Source::Uploaded => Reading::new(view, names::UPLOADED, MOST_PEM_BYTES, |contents| {
            certificate::from_file(contents, Source::Uploaded)
        }),
    }
}

/// Reads the pending certificate request and its key.
pub(super) fn request(view: &View) -> Reading<PendingRequest> {
    Reading::new(view, names::REQUEST, MOST_PEM_BYTES, PendingRequest::from_file)
}

/// Reads who issues the certificate.
pub(super) fn acme(view: &View) -> Reading<AcmeFile> {
    Reading::new(view, names::ACME, MOST_PEM_BYTES, AcmeFile::from_file)
}

/// The private key of a certificate in service.
///
/// # Errors
/// The file can't be read or holds no key.
pub(super) fn key(view: &View, source: Source) -> Result<pem::Key, String> {
    let name = match source {
        Source::Default => names::DEFAULT,
        Source::Uploaded => names::UPLOADED,
    };
    let contents = view.read(name, MOST_PEM_BYTES).map_err(|error| error.to_string())?;
    certificate::key_in_file(&contents.ok_or_else(|| format!("{name} is missing"))?)
}

/// Whether the file that is now under `name` should be kept aside instead of being lost.
pub(super) fn is_bad(view: &View, name: &str) -> bool {
    match name {
        names::SETTINGS => settings(view).parse().is_bad(),
        names::PASSWORD => password(view).parse().is_bad(),
        names::JOB_TOKEN => job_token(view).parse().is_bad(),
        names::ACME => acme(view).parse().is_bad(),
        names::REQUEST => request(view).parse().is_bad(),
        names::DEFAULT => identity(view, Source::Default).parse().is_bad(),
        _ => identity(view, Source::Uploaded).parse().is_bad(),
    }
}

/// The digest of a file with these contents.
pub(super) fn digest(contents: &[u8]) -> FileDigest {
    Sha256::new().chain_update([1]).chain_update(contents).finalize().into()
}

/// The digest of an absent file.
pub(super) fn absent() -> FileDigest {
    Sha256::new().chain_update([0]).finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::{Reading, digest};
    use crate::store::{Folder, Scratch};

    #[test]
    fn a_file_that_we_have_written_ourselves_is_known_without_parsing_it() {
        let scratch = Scratch::new();
        let folder = Folder::open(&scratch.0.join("state"), &[]).unwrap();
        folder.replace("a", b"ours").unwrap();
        let parse: fn(&[u8]) -> Result<(), String> = |_| panic!("parsed");
        assert_eq!(Reading::new(folder.view(), "a", 9, parse).digest, digest(b"ours"));
    }
}
