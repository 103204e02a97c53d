//! The four state files: their names, ceilings, and what was found in them.

use sha2::{Digest, Sha256};

use super::settings::Settings;
use super::summary::Source;
use super::{Identity, PasswordHash, certificate};
use crate::store::View;

pub(super) const SETTINGS: &str = "security.json";
pub(super) const PASSWORD: &str = "admin.htpasswd";
pub(super) const UPLOADED: &str = "tls/uploaded.pem";
pub(super) const DEFAULT: &str = "tls/default.pem";
/// Made together with the state folder.
pub(super) const SUBFOLDERS: [&str; 1] = ["tls"];
/// What a reset takes away.
pub(super) const DISCARDABLE: [&str; 2] = [UPLOADED, PASSWORD];

/// A chain and key as uploaded are at most 1 MiB together; kept they are hardly larger.
const MOST_PEM_BYTES: u64 = 2 * 1024 * 1024;
/// A password line has 67 bytes, the settings some 200; comments may be longer than that.
const MOST_TEXT_BYTES: u64 = 64 * 1024;

/// What a file was found to be.
#[derive(Debug)]
pub(super) enum Found<T> {
    Absent,
    Good(T),
    /// Ours, but its contents make no sense: `<path>: <reason>`.
    Damaged(String),
    /// Someone else could have written it, or it can't be read: a sentence with the mending command.
    Untrusted(String),
}

impl<T> Found<T> {
    pub(super) fn is_bad(&self) -> bool {
        matches!(self, Found::Damaged(_) | Found::Untrusted(_))
    }
}

/// A file as read once.
#[derive(Debug)]
pub(super) struct Reading<T> {
    pub(super) found: Found<T>,
    /// Equal exactly when nothing has changed since: the contents' digest, or the error's.
    pub(super) stamp: Stamp,
}

pub(super) type Stamp = [u8; 32];

pub(super) fn settings(view: &View) -> Reading<Settings> {
    read(view, SETTINGS, MOST_TEXT_BYTES, Settings::from_file)
}

pub(super) fn password(view: &View) -> Reading<PasswordHash> {
    read(view, PASSWORD, MOST_TEXT_BYTES, PasswordHash::from_file)
}

/// The dates are not judged: an expired certificate in service is better than a surprise.
pub(super) fn identity(view: &View, source: Source) -> Reading<Identity> {
    let name = match source {
        Source::Default => DEFAULT,
        Source::Uploaded => UPLOADED,
    };
    read(view, name, MOST_PEM_BYTES, |contents| certificate::from_file(contents, source))
}

/// Whether the file that now stands under `name` is one to keep aside instead of losing it.
pub(super) fn is_bad(view: &View, name: &str) -> bool {
    match name {
        SETTINGS => settings(view).found.is_bad(),
        PASSWORD => password(view).found.is_bad(),
        DEFAULT => identity(view, Source::Default).found.is_bad(),
        _ => identity(view, Source::Uploaded).found.is_bad(),
    }
}

/// The stamp a file has after `contents` were written to it.
pub(super) fn stamp(contents: &[u8]) -> Stamp {
    Sha256::new().chain_update([1]).chain_update(contents).finalize().into()
}

/// The stamp of a file that isn't there.
pub(super) fn absent() -> Stamp {
    Sha256::new().chain_update([0]).finalize().into()
}

fn read<T>(
    view: &View,
    name: &str,
    most_bytes: u64,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Reading<T> {
    match view.read(name, most_bytes) {
        Ok(None) => Reading { found: Found::Absent, stamp: absent() },
        Ok(Some(contents)) => {
            let found = match parse(&contents) {
                Ok(value) => Found::Good(value),
                Err(reason) => Found::Damaged(format!("{}: {reason}", view.path(name).display())),
            };
            Reading { found, stamp: stamp(&contents) }
        }
        Err(error) => {
            let sentence = error.to_string();
            let stamp = Sha256::new().chain_update([2]).chain_update(&sentence).finalize().into();
            Reading { found: Found::Untrusted(sentence), stamp }
        }
    }
}
