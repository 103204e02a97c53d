//! `license-usage.log`: one line for each settled session, with the hash of the line before, so that a
//! removed or changed line is detected.
//!
//! The license file contains the length of the log and the hash of its last line; a line beyond that was
//! never committed and is cut off. The totals that count are in the license file, not here.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::OFlags;
use serde_json::json;

use crate::license::protocol::hex::Digest;
use crate::license::protocol::object::object;
use crate::log::Log;
use crate::store::{Error, Folder, sync_folder_of};

const NAME: &str = "license-usage.log";

/// The previous log.
const OLDER: &str = "license-usage.log.1";

/// A log of this many bytes is rotated.
const LARGEST: u64 = 4 << 20;

/// Longest line in bytes.
const LONGEST: u64 = 512;

object! {
    /// The end of the log, as recorded in the license file.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Head {
        /// Number of lines ever written.
        pub(crate) seq: u64 = unsigned,
        /// Bytes of the log that count.
        pub(crate) bytes: u64 = unsigned,
        /// Hash of the last line.
        pub(crate) hash: Digest = digest,
    }
}

impl Default for Head {
    fn default() -> Head {
        Head { seq: 0, bytes: 0, hash: Digest::NONE }
    }
}

/// A settled session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Seconds charged.
    pub(crate) delta: u64,
    /// Seconds charged in this epoch, this session included.
    pub(crate) total: u64,
    /// How often the accounting was restarted.
    pub(crate) epoch: u64,
    /// Seconds since the machine started.
    pub(crate) boot: u64,
}

/// Writes a line after `head` and returns the new head; the line is durable when this returns.
///
/// # Errors
/// When the disk fails; data after `head` then doesn't count.
pub(crate) fn append(folder: &Folder, head: Head, entry: Entry) -> Result<Head, Error> {
    let path = folder.view().path(NAME);
    let failed = |error: io::Error| Error::system("write", &path, &error);
    let start = if head.bytes < LARGEST {
        head.bytes
    } else {
        rotate(folder, head).map_err(failed)?;
        0
    };
    let line = json!({
        "seq": head.seq + 1, "delta": entry.delta, "total": entry.total, "epoch": entry.epoch,
        "boottime": entry.boot, "prev": head.hash,
    })
    .to_string();
    write(&path, start, &line).map_err(failed)?;
    if start == 0 {
        sync_folder_of(&path)?; // makes the folder's entry for the new file durable
    }
    let bytes = start + line.len() as u64 + 1;
    Ok(Head { seq: head.seq + 1, bytes, hash: Digest::of(line.as_bytes()) })
}

/// Renames the log to the previous one, unless that was done before and only the next line failed.
fn rotate(folder: &Folder, head: Head) -> io::Result<()> {
    match last_line(folder, OLDER, head) {
        Ok(true) => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::rename(folder.view().path(NAME), folder.view().path(OLDER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes `line` at byte `start` of the log and cuts off the rest.
fn write(path: &Path, start: u64, line: &str) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let mut file = options.open(path)?;
    file.set_len(start)?;
    file.seek(SeekFrom::Start(start))?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

/// Checks at the start that the log on disk ends with `head`. If not, the log is set aside and a new one
/// continues the chain.
pub(crate) fn check(folder: &Folder, head: Head, log: &Log) -> Head {
    if head.seq == 0 {
        keep_unknown(folder, log);
        return head;
    }
    match last_line(folder, NAME, head) {
        Ok(true) => head,
        // The power was cut between the two files: the content of the newer one was never committed.
        _ if last_line(folder, OLDER, head).unwrap_or(false) => Head { bytes: 0, ..head },
        found => {
            let why = found.err().map_or_else(
                || "its last line is not the recorded one".to_owned(),
                |e| e.to_string(),
            );
            let kept = folder.set_aside_told(NAME, SystemTime::now());
            log.security(format_args!(
                "{NAME} was changed by another program, or lost ({why}); {kept}"
            ));
            Head { bytes: 0, ..head }
        }
    }
}

/// Sets aside a log that a lost license file no longer counts, because the next line would overwrite it.
fn keep_unknown(folder: &Folder, log: &Log) {
    let found = fs::symlink_metadata(folder.view().path(NAME));
    if !found.is_ok_and(|found| found.len() > 0) {
        return;
    }
    let kept = folder.set_aside_told(NAME, SystemTime::now());
    log.security(format_args!("{NAME} has lines that the license file does not count; {kept}"));
}

fn last_line(folder: &Folder, name: &str, head: Head) -> io::Result<bool> {
    if head.bytes == 0 {
        return Ok(true);
    }
    let mut file = fs::File::open(folder.view().path(name))?;
    let start = head.bytes.saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(head.bytes - start).read_to_end(&mut tail)?;
    if tail.len() as u64 != head.bytes - start || tail.pop() != Some(b'\n') {
        return Ok(false);
    }
    let line = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Digest::of(line) == head.hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::sync::{Arc, Mutex};

    use super::{Entry, Head, LARGEST, NAME, OLDER, append, check};
    use crate::license::protocol::fields::Fields;
    use crate::log::Log;
    use crate::store::{Folder, Scratch};

    const ENTRY: Entry = Entry { delta: 30, total: 60, epoch: 1, boot: 100 };

    fn folder(scratch: &Scratch) -> Folder {
        Folder::open(&scratch.0.join("state"), &[]).unwrap()
    }

    #[test]
    fn every_line_holds_the_hash_of_the_one_before() {
        let scratch = Scratch::new();
        let folder = folder(&scratch);
        let first = append(&folder, Head::default(), ENTRY).unwrap();
        let second = append(&folder, first, ENTRY).unwrap();
        let text = fs::read_to_string(folder.view().path(NAME)).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), second.bytes), (2, text.len() as u64));
        assert_eq!(lines[1]["prev"], first.hash.to_string());
        let written = serde_json::json!(second);
        assert_eq!(Head::read(&Fields::of(&written).unwrap()), Ok(second));
        assert_eq!(check(&folder, second, &Log::to(|_| {})), second);
    }

    #[test]
    fn a_line_that_was_not_committed_is_cut_off() {
        let scratch = Scratch::new();
        let folder = folder(&scratch);
        let first = append(&folder, Head::default(), ENTRY).unwrap();
        append(&folder, first, Entry { delta: 99, ..ENTRY }).unwrap();
        assert_eq!(check(&folder, first, &Log::to(|_| {})), first);
        append(&folder, first, ENTRY).unwrap();
        let text = fs::read_to_string(folder.view().path(NAME)).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains("99"), "{text}");
    }

    #[test]
    fn a_log_that_was_changed_is_kept_aside_and_the_chain_goes_on() {
        for change in ["", "{}\n"] {
            let scratch = Scratch::new();
            let folder = folder(&scratch);
            let head = append(&folder, Head::default(), ENTRY).unwrap();
            fs::write(folder.view().path(NAME), change).unwrap();
            let after = check(&folder, head, &Log::to(|_| {}));
            assert_eq!(after, Head { bytes: 0, ..head });
            assert_eq!(append(&folder, after, ENTRY).unwrap().seq, 2);
        }
    }

    #[test]
    fn a_disk_that_refuses_is_told_with_the_path() {
        let scratch = Scratch::new();
        let folder = folder(&scratch);
        let path = folder.view().path(NAME);
        fs::create_dir(&path).unwrap();
        let told = append(&folder, Head::default(), ENTRY).unwrap_err().to_string();
        assert!(told.starts_with(&format!("cannot write {}: ", path.display())), "{told}");
    }

    #[test]
    fn a_power_cut_between_two_logs_is_not_reported() {
        let scratch = Scratch::new();
        let folder = folder(&scratch);
        let padding = vec![b'\n'; usize::try_from(LARGEST).unwrap()];
        fs::write(folder.view().path(NAME), padding).unwrap();
        let nearly = Head { bytes: LARGEST - 1, ..Head::default() };
        let head = append(&folder, nearly, ENTRY).unwrap();
        assert!(head.bytes > LARGEST);
        append(&folder, head, ENTRY).unwrap(); // and the state that says so is not written
        let suspicion = Log::to(|line| assert!(!line.contains("another program"), "{line}"));
        let after = check(&folder, head, &suspicion);
        assert_eq!(after, Head { bytes: 0, ..head });
        assert_eq!(append(&folder, after, ENTRY).unwrap().seq, head.seq + 1);
    }

    #[test]
    fn a_log_that_could_not_be_followed_by_a_new_one_is_once_the_disk_lets_it() {
        for begun in [None, Some("{\"seq\": 2, \"del")] {
            let scratch = Scratch::new();
            let folder = folder(&scratch);
            let (path, older) = (folder.view().path(NAME), folder.view().path(OLDER));
            let padding = vec![b'\n'; usize::try_from(LARGEST).unwrap()];
            fs::write(&path, padding).unwrap();
            let nearly = Head { bytes: LARGEST - 1, ..Head::default() };
            let head = append(&folder, nearly, ENTRY).unwrap();
            // As it is left by a disk that lets the log be renamed and no other be written.
            fs::rename(&path, &older).unwrap();
            if let Some(begun) = begun {
                fs::write(&path, begun).unwrap();
            }
            let next = append(&folder, head, ENTRY).unwrap();
            assert_eq!(next.seq, head.seq + 1);
            assert_eq!(fs::metadata(&older).unwrap().len(), head.bytes, "{begun:?}");
            assert_eq!(fs::metadata(&path).unwrap().len(), next.bytes, "{begun:?}");
        }
    }

    #[test]
    fn a_log_of_which_a_new_license_file_knows_nothing_is_kept() {
        let scratch = Scratch::new();
        let folder = folder(&scratch);
        append(&folder, Head::default(), ENTRY).unwrap();
        let old = fs::read(folder.view().path(NAME)).unwrap();
        let told = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&told);
        let log = Log::to(move |line| sink.lock().unwrap().push_str(line));
        assert_eq!(check(&folder, Head::default(), &log), Head::default());
        append(&folder, Head::default(), ENTRY).unwrap();
        let told = told.lock().unwrap();
        let aside = told.trim_end().rsplit(' ').next().unwrap();
        assert!(aside.contains("license-usage.log.damaged-"), "{told}");
        assert_eq!(fs::read(aside).unwrap(), old);
        // None at all, or an empty one, is no news.
        for contents in [None, Some("")] {
            let _ = fs::remove_file(folder.view().path(NAME));
            if let Some(contents) = contents {
                fs::write(folder.view().path(NAME), contents).unwrap();
            }
            let silent = Log::to(|line| assert!(line.is_empty(), "{line}"));
            assert_eq!(check(&folder, Head::default(), &silent), Head::default());
        }
    }

    #[test]
    fn a_log_has_an_end() {
        let scratch = Scratch::new();
        let folder = folder(&scratch);
        let head = append(&folder, Head::default(), ENTRY).unwrap();
        let full = Head { bytes: LARGEST, ..head };
        let next = append(&folder, full, ENTRY).unwrap();
        assert!(next.bytes < LARGEST);
        assert!(folder.view().path(OLDER).exists());
    }
}
