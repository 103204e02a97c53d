//! Reads the four state files: their size limits, and whether their contents are good.

use sha2::{Digest, Sha256};

use super::settings::LOCKED;
use super::settings_file::SettingsFile;
use super::summary::Source;
use super::{Identity, Password, PasswordHash, certificate, names};
use crate::store::View;

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

/// A file as it was read once.
#[derive(Debug)]
pub(super) struct Reading<T> {
    pub(super) found: Found<T>,
    /// Digest of the contents, or of the error; equal exactly if nothing has changed.
    pub(super) digest: FileDigest,
}

pub(super) type FileDigest = [u8; 32];

pub(super) fn settings(view: &View) -> Reading<SettingsFile> {
    read(view, names::SETTINGS, MOST_TEXT_BYTES, SettingsFile::from_file)
}

pub(super) fn password(view: &View) -> Reading<PasswordHash> {
    read(view, names::PASSWORD, MOST_TEXT_BYTES, PasswordHash::from_file)
}

/// The password that the file sets, at a start; `None` if there is none. A damaged or untrusted file, of which
/// `tell` gets a sentence, never counts as absent.
pub(super) fn password_in_force(
    view: &View,
    settings: &SettingsFile,
    tell: impl FnOnce(String),
) -> (Option<Password>, FileDigest) {
    let Reading { found, digest } = password(view);
    let password = match found {
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

/// Reads a certificate and its key. Dates are not checked, because an expired certificate in service is
/// better than a surprise.
pub(super) fn identity(view: &View, source: Source) -> Reading<Identity> {
    let name = match source {
        Source::Default => names::DEFAULT,
        Source::Uploaded => names::UPLOADED,
    };
    read(view, name, MOST_PEM_BYTES, |contents| certificate::from_file(contents, source))
}

/// Whether the file that is now under `name` should be kept aside instead of being lost.
pub(super) fn is_bad(view: &View, name: &str) -> bool {
    match name {
        names::SETTINGS => settings(view).found.is_bad(),
        names::PASSWORD => password(view).found.is_bad(),
        names::DEFAULT => identity(view, Source::Default).found.is_bad(),
        _ => identity(view, Source::Uploaded).found.is_bad(),
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

fn read<T>(
    view: &View,
    name: &str,
    most_bytes: u64,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Reading<T> {
    match view.read(name, most_bytes) {
        Ok(None) => Reading { found: Found::Absent, digest: absent() },
        Ok(Some(contents)) => {
            let found = match parse(&contents) {
                Ok(value) => Found::Good(value),
                Err(reason) => Found::Damaged(format!("{}: {reason}", view.path(name).display())),
            };
            Reading { found, digest: digest(&contents) }
        }
        Err(error) => {
            let sentence = error.to_string();
            let digest = Sha256::new().chain_update([2]).chain_update(&sentence).finalize().into();
            Reading { found: Found::Untrusted(sentence), digest }
        }
    }
}
