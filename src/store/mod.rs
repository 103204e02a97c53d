//! Flat state files that survive a power cut and are checked before they are trusted.
//!
//! In: replacing whole files ([`Folder::replace`]), reading only files that no other user could have
//! written ([`View::read`]), keeping damaged files aside ([`Folder::set_aside`]), one running
//! instance per folder ([`Folder::open`]).
//! Out: what the files mean. This room knows none of the others; it returns bytes and error messages.
//!
//! A [`View`] only reads, so `status` and `check` can't change anything while the daemon runs;
//! a [`Folder`] holds the lock, so its owner is the only writer.

mod folder;

mod replace;

#[cfg(test)]
mod scratch;

mod set_aside;

mod trust;

use std::fmt;
use std::io;
use std::path::Path;

pub(crate) use folder::make as make_folder;
pub(crate) use folder::{Folder, View, lock};
pub(crate) use replace::{publish, replace, sync_folder_of};
#[cfg(test)]
pub(crate) use scratch::Scratch;
pub(crate) use trust::read;

/// Why a file or folder could not be used, as a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Error {
    pub(crate) fn new(sentence: impl Into<String>) -> Error {
        Error(sentence.into())
    }

    /// `doing` completes "cannot …", as in "read /var/lib/applianced/security.json".
    pub(crate) fn system(doing: &str, path: &Path, error: &io::Error) -> Error {
        let next = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; free some space and try again"
            }
            io::ErrorKind::PermissionDenied => "; check the owner and the mode with `ls -la`",
            io::ErrorKind::ReadOnlyFilesystem => "; mount the file system writable",
            _ => "",
        };
        Error::new(format!("cannot {doing} {}: {error}{next}", path.display()))
    }
}

/// `path` as a word for the shell, so that a repair command can be pasted as it is.
fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::shell_word;

    #[test]
    fn a_mending_command_can_be_pasted_whatever_the_path() {
        assert_eq!(shell_word(Path::new("/var/lib/a-b.pem")), "/var/lib/a-b.pem");
        assert_eq!(shell_word(Path::new("/x y/it's")), r"'/x y/it'\''s'");
    }
}
