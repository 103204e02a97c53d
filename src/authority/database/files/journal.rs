//! The write-ahead journal of one shard: a step is durable when its line is, and its files follow.
//!
//! The first line says how far the files have followed, on which boot of the machine and in which file: while
//! that boot lasts, the kernel gives back what was written, synced or not. After a crash of the machine, and in
//! a copy of the folder, the whole journal is written to the files again, which changes nothing where they were
//! right. Every line holds its own SHA-256, so a line that a power cut tore is known.
//!
//! The journal's file is the shard's lock, because it is never replaced: all processes wait for each other there.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde_json::{Value, json};

use crate::license::protocol::hex::{Digest, RequestId};
use crate::store::{self, Error};
use crate::util::json;

/// Bytes of the first line, with its line end.
const HEAD_BYTES: usize = 128;

/// Bytes of a journal after which its files are synced and it begins anew.
const MAX_BYTES: u64 = 256 * 1024;

/// Hex digits of a line's SHA-256 that stand before it.
const CHECK_DIGITS: usize = 16;

/// The kernel's name for this boot of the machine; if it can't be read, one of this process alone, so that other
/// processes write the journal to the files again, which is slow and safe.
///
/// # Errors
/// When the system has no random bytes.
pub(super) fn boot() -> Result<String, Error> {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(boot) => Ok(boot.trim().to_owned()),
        Err(_) => Ok(RequestId::random()?.to_string()),
    }
}

/// One file that a step changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Its path below the folder of all records.
    pub(super) name: String,
    /// Where `text` is written, for a file that only grows; `None` replaces the whole file.
    pub(super) at: Option<u64>,
    /// `None` removes the file.
    pub(super) text: Option<String>,
}

/// The journal of a shard under its lock; the files have followed it.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    boot: String,
    /// Where the next line begins.
    end: u64,
}

impl Journal {
    /// Waits for the lock; `None` when there is no such shard.
    ///
    /// # Errors
    /// When the system refuses, or the journal is damaged.
    pub(super) fn open(shard: &Path, boot: &str) -> Result<Option<Journal>, Error> {
        let path = shard.join("journal");
        match options().open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => {
                let file = other.map_err(|error| Error::system("open", &path, &error))?;
                Journal::lock(shard, path, file, boot).map(Some)
            }
        }
    }

    /// The same, and makes the journal if there is none.
    ///
    /// # Errors
    /// When the system refuses, or the journal is damaged.
    pub(super) fn make(shard: &Path, boot: &str) -> Result<Journal, Error> {
        let path = shard.join("journal");
        let file = options().create(true).mode(0o600).open(&path);
        let file = file.map_err(|error| Error::system("make", &path, &error))?;
        store::sync_folder_of(&path)?;
        Journal::lock(shard, path, file, boot)
    }

    fn lock(shard: &Path, path: PathBuf, file: File, boot: &str) -> Result<Journal, Error> {
        let failed = |error: io::Error| Error::system("read", &path, &error);
        file.lock().map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut head = [0; HEAD_BYTES];
        let found = file.read_at(&mut head, 0).map_err(failed)?;
        let root = shard.parent().unwrap_or(shard);
        let mut journal = Journal { path, file, boot: boot.to_owned(), end: length };
        if found == HEAD_BYTES && head == *journal.head(length)? {
            return Ok(journal);
        }
        journal.end = HEAD_BYTES as u64;
        if length > HEAD_BYTES as u64 {
            journal.replay(root)?;
        }
        journal.follow()?;
        Ok(journal)
    }

    /// The first line of a journal whose files have followed up to `end`.
    fn head(&self, end: u64) -> Result<Box<[u8; HEAD_BYTES]>, Error> {
        let found = self.file.metadata().map_err(|error| self.failed(&error))?;
        let text = format!("{} {}:{} {end}", self.boot, found.dev(), found.ino());
        let mut line = Box::new([b' '; HEAD_BYTES]);
        let bytes = &text.as_bytes()[..text.len().min(HEAD_BYTES - 1)];
        line[..bytes.len()].copy_from_slice(bytes);
        line[HEAD_BYTES - 1] = b'\n';
        Ok(line)
    }

    /// Says that the files have followed so far.
    fn follow(&self) -> Result<(), Error> {
        let head = self.head(self.end)?;
        self.file.write_all_at(&head[..], 0).map_err(|error| self.failed(&error))
    }

    /// Writes the journal to the files again, and cuts off a line that was torn.
    fn replay(&mut self, root: &Path) -> Result<(), Error> {
        let mut text = Vec::new();
        (&self.file).read_to_end(&mut text).map_err(|error| self.failed(&error))?;
        let lines = text.get(HEAD_BYTES..).unwrap_or_default();
        let mut lines = lines.split_inclusive(|byte| *byte == b'\n');
        for line in lines.by_ref() {
            let Some(changes) = parse(line) else { break };
            for change in changes {
                apply(root, &change)?;
            }
            self.end += line.len() as u64;
        }
        // Only the last line can be torn.
        if lines.any(|line| parse(line).is_some()) {
            let what =
                "is damaged: a line in the middle was changed; restore the folder from a backup";
            return Err(Error::new(format!("{} {what}", self.path.display())));
        }
        self.file.set_len(self.end).map_err(|error| self.failed(&error))
    }

    /// Makes `changes` durable, all or nothing.
    ///
    /// # Errors
    /// When the journal can't be written: nothing has changed.
    pub(super) fn commit(&mut self, root: &Path, changes: &[Change]) -> Result<(), Error> {
        let line = line(changes);
        let written = self.file.write_all_at(line.as_bytes(), self.end);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // What a failed sync leaves is unknown, so it must not be read as a line later.
            let _ = self.file.set_len(self.end).and_then(|()| self.file.sync_data());
            return Err(self.failed(&error));
        }
        self.end += line.len() as u64;
        // From here on the step has happened. A file that can't be written now is written by the next step.
        let followed = changes.iter().try_for_each(|change| apply(root, change));
        if followed.and_then(|()| self.follow()).is_ok() && self.end > MAX_BYTES {
            let _ = self.checkpoint(root);
        }
        Ok(())
    }

    /// Makes the files durable and begins the journal anew.
    fn checkpoint(&mut self, root: &Path) -> Result<(), Error> {
        let mut text = vec![0; usize::try_from(self.end).unwrap_or(0)];
        self.file.read_exact_at(&mut text, 0).map_err(|error| self.failed(&error))?;
        let lines = text.get(HEAD_BYTES..).unwrap_or_default();
        let changes = lines.split_inclusive(|byte| *byte == b'\n').filter_map(parse).flatten();
        let paths: BTreeSet<PathBuf> = changes.map(|change| root.join(change.name)).collect();
        let mut folders = BTreeSet::new();
        for path in &paths {
            match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => {
                    other.and_then(|file| file.sync_all()).map_err(|error| self.failed(&error))?;
                }
            }
            folders.extend(path.parent().map(Path::to_owned));
        }
        folders.extend(self.path.parent().map(Path::to_owned));
        for folder in folders {
            let synced = File::open(&folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| Error::system("sync the folder", &folder, &error))?;
        }
        self.end = HEAD_BYTES as u64;
        let emptied = self.file.set_len(self.end).and_then(|()| self.file.sync_data());
        emptied.map_err(|error| self.failed(&error))?;
        self.follow()
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::system("write", &self.path, error)
    }
}

/// One step as a line: digits of its SHA-256, a space, JSON.
fn line(changes: &[Change]) -> String {
    let changes: Vec<Value> =
        changes.iter().map(|change| json!([change.name, change.at, change.text])).collect();
    let text = Value::Array(changes).to_string();
    format!("{} {text}\n", check(&text))
}

fn check(text: &str) -> String {
    let mut digits = Digest::of(text.as_bytes()).to_string();
    digits.truncate(CHECK_DIGITS);
    digits
}

/// Reads what `line` writes; `None` for a torn or changed line.
fn parse(line: &[u8]) -> Option<Vec<Change>> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (digits, text) = line.split_once(' ')?;
    let value = json::parse(text.as_bytes()).ok().filter(|_| digits == check(text))?;
    let change = |value: &Value| match value.as_array()?.as_slice() {
        [name, at, text] => Some(Change {
            name: name.as_str().filter(|name| is_inside(name))?.to_owned(),
            at: at.as_u64(),
            text: text.as_str().map(str::to_owned),
        }),
        _ => None,
    };
    value.as_array()?.iter().map(change).collect()
}

/// Whether a path stays in its folder.
fn is_inside(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// Writes one file, not durably.
fn apply(root: &Path, change: &Change) -> Result<(), Error> {
    let path = root.join(&change.name);
    let failed = |error: io::Error| Error::system("write", &path, &error);
    let Some(text) = &change.text else {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    };
    let target = match change.at {
        Some(_) => path.clone(),
        None => path.with_extension("json.tmp"),
    };
    let mut options = options();
    options.create(true).truncate(change.at.is_none()).mode(0o600);
    let file = match options.open(&target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder_of(&path).and_then(|()| options.open(&target))
        }
        other => other,
    };
    let file = file.map_err(failed)?;
    file.write_all_at(text.as_bytes(), change.at.unwrap_or(0)).map_err(failed)?;
    match change.at {
        Some(_) => Ok(()),
        None => std::fs::rename(&target, &path).map_err(failed),
    }
}

/// Makes the folder of a license, not durably.
fn make_folder_of(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = path.parent().unwrap_or(path);
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    options.read(true).write(true).custom_flags(flags);
    options
}
