//! Keeping a damaged file for whoever wants to know what happened; nothing damaged is ever deleted.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Error, replace};
use crate::utc;

/// Moves `path` to `<name>.damaged-<UTC time>` beside it and says where it went.
///
/// For files whose absence is as safe as their damage.
pub(super) fn move_aside(path: &Path, now: SystemTime) -> Result<PathBuf, Error> {
    let aside = free_name(path, now);
    fs::rename(path, &aside).map_err(|error| Error::system("set aside", path, &error))?;
    replace::sync_folder_of(path)?;
    Ok(aside)
}

/// Gives the damaged file a second name, then replaces it in one rename: at no moment is `path`
/// missing, for files whose absence would open a door.
pub(super) fn keep_and_replace(
    path: &Path,
    contents: &[u8],
    now: SystemTime,
) -> Result<PathBuf, Error> {
    let aside = free_name(path, now);
    fs::hard_link(path, &aside).map_err(|error| Error::system("set aside", path, &error))?;
    replace::replace(path, contents)?;
    Ok(aside)
}

/// The folder is ours alone and locked, so a name that is free now stays free.
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
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::Scratch;
    use super::{keep_and_replace, move_aside};

    #[test]
    fn damaged_files_are_kept_under_the_time_and_never_overwrite_each_other() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a.json");
        let now = UNIX_EPOCH + Duration::from_secs(1_634_387_197);
        fs::write(&path, "first").unwrap();
        let first = move_aside(&path, now).unwrap();
        assert_eq!(first, scratch.0.join("a.json.damaged-20211016T122637Z"));
        assert!(!path.exists());
        fs::write(&path, "second").unwrap();
        let second = keep_and_replace(&path, b"fresh", now).unwrap();
        assert_eq!(second, scratch.0.join("a.json.damaged-20211016T122637Z-2"));
        assert_eq!(fs::read(first).unwrap(), b"first");
        assert_eq!(fs::read(second).unwrap(), b"second");
        assert_eq!(fs::read(path).unwrap(), b"fresh");
    }
}
