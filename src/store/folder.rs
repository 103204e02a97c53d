//! The state folder: a [`View`] reads it, a [`Folder`] changes it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{Error, replace, trust};

const FOLDER_MODE: u32 = 0o700;
/// Locked by the running instance for as long as it lives. It is never removed, because a second instance
/// could then lock a new file of the same name.
const LOCK: &str = "lock";

/// Read access to the folder, with or without a running daemon.
///
/// Names are relative to the folder, as in `tls/default.pem`.
#[derive(Debug)]
pub(crate) struct View {
    root: PathBuf,
}

impl View {
    /// Opens the folder without creating, locking or changing anything; `None` when absent.
    ///
    /// # Errors
    /// When it is not a folder, not ours, or open to others.
    pub(crate) fn open(root: &Path) -> Result<Option<View>, Error> {
        match fs::metadata(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::system("look at", root, &error)),
            Ok(metadata) => {
                trust::check_folder(root, &metadata)?;
                Ok(Some(View { root: root.to_owned() }))
            }
        }
    }

    /// Reads a whole file of at most `most_bytes`, wiped from memory when dropped; `None` when absent.
    ///
    /// # Errors
    /// When it is not a regular file, is too large, or others could have written it.
    pub(crate) fn read(
        &self,
        name: &str,
        most_bytes: u64,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        trust::read(&self.path(name), most_bytes)
    }

    /// The path of a file, for messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// Exclusive write access to the folder; the lock is released when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Folder {
    view: View,
    _lock: File,
}

impl Folder {
    /// Creates the folder and its `subfolders` with mode 0700 if absent, checks them, takes the lock
    /// and removes temporary files that a power cut left.
    ///
    /// # Errors
    /// When another instance has it, otherwise what is wrong with the folder.
    pub(crate) fn open(root: &Path, subfolders: &[&str]) -> Result<Folder, Error> {
        make(root)?;
        let metadata = fs::metadata(root).map_err(|e| Error::system("look at", root, &e))?;
        trust::check_folder(root, &metadata)?;
        let busy = format!(
            "another applianced uses the state folder {}: stop it first, or ask it through its \
             control socket",
            root.display()
        );
        let lock = lock(&root.join(LOCK), busy)?;
        replace::sweep(root)?;
        for subfolder in subfolders {
            let path = root.join(subfolder);
            make(&path)?;
            // Only the root may be a link: the operator chooses its place, its contents are ours.
            let found =
                fs::symlink_metadata(&path).map_err(|e| Error::system("look at", &path, &e))?;
            trust::check_folder(&path, &found)?;
            replace::sweep(&path)?;
        }
        Ok(Folder { view: View { root: root.to_owned() }, _lock: lock })
    }

    /// Read access.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Replaces the contents of the file, durably when this returns.
    ///
    /// # Errors
    /// Leaves the old file or, when only the last sync failed, the new one: read it again.
    pub(crate) fn replace(&self, name: &str, contents: &[u8]) -> Result<(), Error> {
        replace::replace(&self.view.path(name), contents)
    }

    /// Removes the file, durably when this returns; an absent file is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        replace::remove(&self.view.path(name))
    }
}

/// Creates `folder` with mode 0700 if nothing of that name exists.
pub(crate) fn make(folder: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => {
            let made = fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE));
            made.map_err(|error| Error::system("make the folder", folder, &error))?;
            replace::sync_folder_of(folder)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::system("make the folder", folder, &error)),
    }
}

/// Locks the file, which is made for that; `busy` is the sentence for when another process has it.
///
/// # Errors
/// When another process has it, or the system refuses.
pub(crate) fn lock(path: &Path, busy: String) -> Result<File, Error> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(path).map_err(|error| Error::system("open", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(busy)),
        Err(TryLockError::Error(error)) => Err(Error::system("lock", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::Scratch;
    use super::{Folder, View};

    #[test]
    fn an_absent_folder_is_made_for_its_owner_alone() {
        let scratch = Scratch::new();
        let root = scratch.0.join("state");
        assert!(View::open(&root).unwrap().is_none());
        let folder = Folder::open(&root, &["tls"]).unwrap();
        for path in [root.clone(), root.join("tls")] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
        }
        folder.replace("tls/a.pem", b"x").unwrap();
        assert_eq!(folder.view().read("tls/a.pem", 9).unwrap().unwrap().as_slice(), b"x");
    }

    #[test]
    fn a_second_instance_is_refused_while_a_reader_may_look() {
        let scratch = Scratch::new();
        let root = scratch.0.join("state");
        let first = Folder::open(&root, &[]).unwrap();
        let sentence = Folder::open(&root, &[]).unwrap_err().to_string();
        assert!(sentence.contains("another applianced"), "{sentence}");
        assert!(View::open(&root).unwrap().is_some());
        drop(first);
        Folder::open(&root, &[]).unwrap();
    }

    #[test]
    fn a_folder_open_to_others_is_refused_by_writer_and_reader() {
        let scratch = Scratch::new();
        fs::set_permissions(&scratch.0, Permissions::from_mode(0o755)).unwrap();
        for error in [Folder::open(&scratch.0, &[]).err(), View::open(&scratch.0).err()] {
            assert!(error.unwrap().to_string().contains("chmod 700"));
        }
    }

    #[test]
    fn a_subfolder_that_is_a_link_is_refused() {
        let scratch = Scratch::new();
        fs::set_permissions(&scratch.0, Permissions::from_mode(0o700)).unwrap();
        symlink("/tmp", scratch.0.join("tls")).unwrap();
        let error = Folder::open(&scratch.0, &["tls"]).unwrap_err().to_string();
        assert!(error.contains("is not a folder"), "{error}");
    }

    #[test]
    fn a_missing_parent_folder_is_named() {
        let scratch = Scratch::new();
        let error = Folder::open(&scratch.0.join("no/state"), &[]).unwrap_err().to_string();
        assert!(error.contains("cannot make the folder"), "{error}");
    }

    #[test]
    fn temporaries_are_gone_after_opening() {
        let scratch = Scratch::new();
        let root = scratch.0.join("state");
        drop(Folder::open(&root, &["tls"]).unwrap());
        for name in [".security.json.tmp", "tls/.uploaded.pem.tmp"] {
            fs::write(root.join(name), "half").unwrap();
        }
        drop(Folder::open(&root, &["tls"]).unwrap());
        assert!(!root.join(".security.json.tmp").exists());
        assert!(!root.join("tls/.uploaded.pem.tmp").exists());
    }
}
