//! Replaces or removes a file so that a power cut leaves either the old state or the new one, whole.
//!
//! The rename is the commit point: before it only the temporary file exists, after it the new contents
//! only need to become durable. The folder is synced too, because a rename changes the folder.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::Error;

/// Mode of state files, which only their owner may read: they hold keys and password hashes.
const FILE_MODE: u32 = 0o600;

/// Mode of files that every user may read.
const PUBLIC_MODE: u32 = 0o644;

/// Replaces the contents of `path`.
///
/// # Errors
/// When the old file is still there, and also when the new file is there but could not be made durable.
/// To tell which, read the file again.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> Result<(), Error> {
    replace_as(path, contents, FILE_MODE)
}

/// Replaces a file without secrets, which every user may read.
pub(crate) fn publish(path: &Path, contents: &[u8]) -> Result<(), Error> {
    replace_as(path, contents, PUBLIC_MODE)
}

fn replace_as(path: &Path, contents: &[u8], mode: u32) -> Result<(), Error> {
    let temporary = temporary(path);
    let written = write_new(&temporary, contents, mode).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(Error::system("write", path, &error));
    }
    sync_folder_of(path)
}

/// Swaps `path` in one step: its old file moves to `aside`, an unused name in the same folder, and a new
/// file with `contents` takes its place. Interrupted before that step, it leaves `path` unchanged and the
/// new contents under `aside`. The caller syncs the folder.
pub(super) fn exchange(path: &Path, aside: &Path, contents: &[u8]) -> io::Result<()> {
    let exchanged = write_new(aside, contents, FILE_MODE)
        .and_then(|()| Ok(renameat_with(CWD, aside, CWD, path, RenameFlags::EXCHANGE)?));
    if exchanged.is_err() {
        let _ = fs::remove_file(aside);
    }
    exchanged
}

/// Removes `path`; an absent file is no error.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::system("remove", path, &error))
        }
        _ => sync_folder_of(path),
    }
}

/// Makes the last change of the folder entry `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::system("sync the folder", folder, &error))
}

/// Removes temporary files that a power cut left in `folder`: none of them was committed.
pub(super) fn sweep(folder: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(|error| Error::system("list", folder, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(SUFFIX) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

const SUFFIX: &str = ".tmp";

/// `.<name>.tmp` in the same folder, because a rename can't cross file systems.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{SUFFIX}"))
}

fn write_new(temporary: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // `create_new` follows no link. The umask can only narrow the mode, so it is set again below.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::super::Scratch;
    use super::{remove, replace, sweep, sync_folder_of};

    #[test]
    fn a_replaced_file_is_whole_private_and_leaves_no_temporary() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    }

    #[test]
    fn replacing_a_link_leaves_what_it_points_to_alone() {
        let scratch = Scratch::new();
        let (target, link) = (scratch.0.join("target"), scratch.0.join("link"));
        fs::write(&target, "theirs").unwrap();
        symlink(&target, &link).unwrap();
        symlink(&target, scratch.0.join(".link.tmp")).unwrap();
        replace(&link, b"ours").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_file_and_no_temporary() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a");
        fs::create_dir(&path).unwrap(); // a rename onto a folder fails
        let error = replace(&path, b"new").unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    }

    #[test]
    fn temporaries_of_a_power_cut_are_swept_and_nothing_else() {
        let scratch = Scratch::new();
        for name in [".a.tmp", "a.tmp", ".a", "a"] {
            fs::write(scratch.0.join(name), "").unwrap();
        }
        sweep(&scratch.0).unwrap();
        assert!(!scratch.0.join(".a.tmp").exists());
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 3);
    }

    #[test]
    fn a_path_without_a_folder_lies_in_the_current_one() {
        assert_eq!(sync_folder_of(Path::new("state")), Ok(()));
    }

    #[test]
    fn removing_twice_is_fine() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a");
        fs::write(&path, "").unwrap();
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
