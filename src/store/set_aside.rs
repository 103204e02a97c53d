//! Keeps damaged files for a later analysis; a damaged file is never deleted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;

use super::{Error, Folder, replace};
use crate::util::utc;

impl Folder {
    /// Moves a damaged file to `<name>.damaged-<UTC time>` and returns that path; for files whose absence is
    /// as safe as their damage.
    ///
    /// # Errors
    /// When the system call fails; the file stays where it was.
    pub(crate) fn set_aside(&self, name: &str, now: SystemTime) -> Result<PathBuf, Error> {
        let path = &self.view().path(name);
        let aside = free_name(path, now);
        fs::rename(path, &aside).map_err(|error| Error::system("set aside", path, &error))?;
        replace::sync_folder_of(path)?;
        Ok(aside)
    }

    /// As [`Folder::set_aside`], for a log line: where the file is kept, or why it could not be moved.
    pub(crate) fn set_aside_told(&self, name: &str, now: SystemTime) -> String {
        match self.set_aside(name, now) {
            Ok(aside) => format!("kept as {}", aside.display()),
            Err(error) => error.to_string(),
        }
    }

    /// Gives a damaged file a second name, `<name>.damaged-<UTC time>`, then replaces it in one rename; for
    /// files whose absence would grant access.
    pub(crate) fn set_aside_and_replace(
        &self,
        name: &str,
        contents: &[u8],
        now: SystemTime,
    ) -> Result<PathBuf, Error> {
        keep_and_replace(&self.view().path(name), contents, now)
    }
}

/// If the second name is refused, as for a file of root's (`fs.protected_hardlinks`, proc(5)), the two names
/// are exchanged instead. That is not the first choice, because not every file system supports it.
fn keep_and_replace(path: &Path, contents: &[u8], now: SystemTime) -> Result<PathBuf, Error> {
    let aside = free_name(path, now);
    let failed = |error: &io::Error| Error::system("set aside", path, error);
    match fs::hard_link(path, &aside) {
        Ok(()) => replace::replace(path, contents)?,
        Err(refused) if no_second_name(&refused) => {
            replace::exchange(path, &aside, contents).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput => failed(&refused), // not on this file system
                _ => failed(&error),
            })?;
            replace::sync_folder_of(path)?;
        }
        Err(error) => return Err(failed(&error)),
    }
    Ok(aside)
}

/// Whether the second name was refused: see link(2).
fn no_second_name(error: &io::Error) -> bool {
    let found = Errno::from_io_error(error);
    found.is_some_and(|found| [Errno::PERM, Errno::MLINK, Errno::OPNOTSUPP].contains(&found))
}

/// Returns an unused name. The folder is ours alone and locked, so the name stays unused.
fn free_name(path: &Path, now: SystemTime) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let time = utc::format(utc::unix_seconds(now)).replace(['-', ':'], "");
    let mut aside = path.with_file_name(format!("{name}.damaged-{time}"));
    let mut copy = 1;
    while fs::symlink_metadata(&aside).is_ok() {
        copy += 1;
        aside = path.with_file_name(format!("{name}.damaged-{time}-{copy}"));
    }
    aside
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::Scratch;
    use super::{Folder, keep_and_replace};

    #[test]
    fn damaged_files_are_kept_under_the_time_and_never_overwrite_each_other() {
        let scratch = Scratch::new();
        let root = scratch.0.join("state");
        let folder = Folder::open(&root, &[]).unwrap();
        let path = root.join("a.json");
        let now = UNIX_EPOCH + Duration::from_secs(1_634_387_197);
        fs::write(&path, "first").unwrap();
        let first = folder.set_aside("a.json", now).unwrap();
        assert_eq!(first, root.join("a.json.damaged-20211016T122637Z"));
        assert!(!path.exists());
        fs::write(&path, "second").unwrap();
        let second = folder.set_aside_and_replace("a.json", b"fresh", now).unwrap();
        assert_eq!(second, root.join("a.json.damaged-20211016T122637Z-2"));
        assert_eq!(fs::read(first).unwrap(), b"first");
        assert_eq!(fs::read(second).unwrap(), b"second");
        assert_eq!(fs::read(path).unwrap(), b"fresh");
    }

    #[test]
    fn what_can_not_have_a_second_name_is_kept_all_the_same() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a.json");
        let now = UNIX_EPOCH + Duration::from_secs(1_634_387_197);
        fs::create_dir(&path).unwrap(); // refused to everybody, as another's file is to a user
        fs::write(path.join("within"), "kept").unwrap();
        let aside = keep_and_replace(&path, b"fresh", now).unwrap();
        assert_eq!(aside, scratch.0.join("a.json.damaged-20211016T122637Z"));
        assert_eq!(fs::read(aside.join("within")).unwrap(), b"kept");
        assert_eq!(fs::read(&path).unwrap(), b"fresh");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 2);
    }
}
