//! Checks that only the owner or root could have written a file or folder.
//!
//! The checks use the open file, not its name, so that it can't be exchanged in between.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{Error, shell_word};

const GROUP_OR_OTHERS_MAY_WRITE: u32 = 0o022;
const GROUP_OR_OTHERS: u32 = 0o077;

/// Reads the whole file, wiped from memory when dropped because it may hold a key; `None` when absent.
///
/// A file larger than `most_bytes` is rejected before it is read.
pub(crate) fn read(path: &Path, most_bytes: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let failed = |error: &io::Error| Error::system("read", path, error);
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(untrusted(
                path,
                "is a symbolic link, and a state file must be the file itself",
                &format!("cp --remove-destination \"$(readlink -f {0})\" {0}", shell_word(path)),
            ));
        }
        Err(error) => return Err(failed(&error)),
    };
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    check_file(path, &Attributes::of(&metadata), most_bytes)?;
    let expected = usize::try_from(metadata.len()).unwrap_or(0);
    // The full capacity at once: a vector that grows leaves unwiped copies behind.
    let mut contents = Zeroizing::new(Vec::with_capacity(expected + 1));
    let read = Read::by_ref(&mut file).take(most_bytes + 1).read_to_end(&mut contents);
    read.map_err(|error| failed(&error))?;
    if contents.len() as u64 > most_bytes {
        return Err(too_large(path, most_bytes));
    }
    Ok(Some(contents))
}

/// Checks that `path` is a folder that no other user can enter.
pub(super) fn check_folder(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let attributes = Attributes::of(metadata);
    if !metadata.is_dir() {
        let repair = format!("mv {0} {0}.old", shell_word(path));
        return Err(untrusted(path, "is not a folder", &repair));
    }
    check_owner(path, &attributes)?;
    if attributes.mode & GROUP_OR_OTHERS != 0 {
        let what = format!("has mode {:04o}, and only its owner may enter it", attributes.mode);
        return Err(untrusted(path, &what, &format!("chmod 700 {}", shell_word(path))));
    }
    Ok(())
}

/// Opens the file without following a link or waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// File attributes that the rules check, so that tests can make them up.
struct Attributes {
    regular: bool,
    bytes: u64,
    owner: u32,
    mode: u32,
    us: u32,
}

impl Attributes {
    fn of(metadata: &Metadata) -> Attributes {
        Attributes {
            regular: metadata.is_file(),
            bytes: metadata.len(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
            us: rustix::process::geteuid().as_raw(),
        }
    }
}

fn check_file(path: &Path, attributes: &Attributes, most_bytes: u64) -> Result<(), Error> {
    if !attributes.regular {
        let repair = format!("mv {0} {0}.old", shell_word(path));
        return Err(untrusted(path, "is not a regular file", &repair));
    }
    check_owner(path, attributes)?;
    if attributes.mode & GROUP_OR_OTHERS_MAY_WRITE != 0 {
        let what =
            format!("has mode {:04o}, so others than its owner can change it", attributes.mode);
        return Err(untrusted(path, &what, &format!("chmod 600 {}", shell_word(path))));
    }
    if attributes.bytes > most_bytes {
        return Err(too_large(path, most_bytes));
    }
    Ok(())
}

fn check_owner(path: &Path, attributes: &Attributes) -> Result<(), Error> {
    if attributes.owner == attributes.us || attributes.owner == 0 {
        return Ok(());
    }
    let what = format!(
        "belongs to user {}, and only root and the user of applianced ({}) are trusted",
        attributes.owner, attributes.us
    );
    Err(untrusted(path, &what, &format!("chown {} {}", attributes.us, shell_word(path))))
}

fn too_large(path: &Path, most_bytes: u64) -> Error {
    let repair = format!("mv {0} {0}.old", shell_word(path));
    untrusted(path, &format!("is larger than {most_bytes} bytes, so it can't be ours"), &repair)
}

fn untrusted(path: &Path, what: &str, repair: &str) -> Error {
    Error::new(format!(
        "{} {what}: check the file, and if it is right, repair it with `{repair}`",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::super::Scratch;
    use super::{Attributes, check_file, check_folder, read};

    fn error(path: &Path) -> String {
        read(path, 10).unwrap_err().to_string()
    }

    #[test]
    fn an_absent_file_is_no_error() {
        assert_eq!(read(Path::new("/nonexistent/file"), 10), Ok(None));
    }

    #[test]
    fn a_link_is_not_followed() {
        let scratch = Scratch::new();
        fs::write(scratch.0.join("target"), "x").unwrap();
        symlink("target", scratch.0.join("link")).unwrap();
        let sentence = error(&scratch.0.join("link"));
        assert!(sentence.contains("symbolic link") && sentence.contains("readlink"), "{sentence}");
    }

    #[test]
    fn a_file_others_can_write_is_refused_with_the_chmod() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a");
        fs::write(&path, "x").unwrap();
        for mode in [0o620, 0o602] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(error(&path).contains(&format!("`chmod 600 {}`", path.display())));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().as_slice(), b"x");
    }

    #[test]
    fn a_file_over_the_ceiling_is_refused_and_one_at_it_is_read() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap().len(), 10);
        fs::write(&path, "0123456789+").unwrap();
        assert!(error(&path).contains("larger than 10 bytes"));
    }

    #[test]
    fn a_folder_or_a_pipe_in_place_of_a_file_is_refused_without_waiting() {
        let scratch = Scratch::new();
        assert!(error(&scratch.0).contains("not a regular file"));
        let pipe = scratch.0.join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(error(&pipe).contains("not a regular file"));
    }

    #[test]
    fn only_root_and_our_own_user_are_trusted_owners() {
        let check = |owner, us| {
            let attributes = Attributes { regular: true, bytes: 1, owner, mode: 0o600, us };
            check_file(Path::new("/s/f"), &attributes, 10)
        };
        assert_eq!(check(0, 1000), Ok(()));
        assert_eq!(check(1000, 1000), Ok(()));
        let sentence = check(1001, 1000).unwrap_err().to_string();
        assert!(sentence.contains("`chown 1000 /s/f`"), "{sentence}");
        assert!(check(1000, 0).is_err());
    }

    #[test]
    fn a_folder_others_can_enter_is_refused_with_the_chmod() {
        let scratch = Scratch::new();
        for (mode, fine) in [(0o700, true), (0o750, false), (0o701, false), (0o777, false)] {
            fs::set_permissions(&scratch.0, Permissions::from_mode(mode)).unwrap();
            let checked = check_folder(&scratch.0, &fs::metadata(&scratch.0).unwrap());
            assert_eq!(checked.is_ok(), fine, "{mode:o}");
            if let Err(error) = checked {
                let repair = format!("`chmod 700 {}`", scratch.0.display());
                assert!(error.to_string().contains(&repair), "{error}");
            }
        }
    }
}
