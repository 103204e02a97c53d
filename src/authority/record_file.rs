//! A file of records: lines of JSON that are complete or not there.
//!
//! | line | holds |
//! | --- | --- |
//! | first | `{KIND:1,"made":TIME}`, where the kind says what the file is for |
//! | others | `[KEY,TEXT]`, one record |
//! | last | `{"records":N,"sha256":"…"}` of all lines before |

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::license::protocol::hex;
use crate::store::{self, Error};
use crate::util::{json, utc};

use super::database::Key;

/// Version of the format.
const VERSION: i64 = 1;

/// What a file is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The member of the first line.
    pub(crate) member: &'static str,
    /// As a sentence names it.
    pub(crate) name: &'static str,
}

/// Writes a file beside its place; [`Writer::finish`] puts it there.
pub(crate) struct Writer {
    path: PathBuf,
    temporary: PathBuf,
    out: BufWriter<File>,
    hash: Sha256,
    records: u64,
}

impl Writer {
    /// Begins a file that only its owner may read.
    ///
    /// # Errors
    /// When `path` exists or the system refuses.
    pub(crate) fn new(path: &Path, kind: Kind, now: i64) -> Result<Writer, Error> {
        if path.exists() {
            return Err(Error::new(format!("{} exists: name another file", path.display())));
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        // Never a file that is there: another user may have made it, to read the keys.
        let _ = std::fs::remove_file(&temporary);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(|error| Error::system("make", &temporary, &error))?;
        let out = BufWriter::new(file);
        let (path, hash) = (path.to_owned(), Sha256::new());
        let mut writer = Writer { path, temporary, out, hash, records: 0 };
        writer.line(&json!({kind.member: VERSION, "made": utc::format(now)}))?;
        Ok(writer)
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn put(&mut self, key: &Key, text: &str) -> Result<(), Error> {
        self.records += 1;
        self.line(&json!([key.as_str(), text]))
    }

    /// Records so far.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    fn line(&mut self, value: &Value) -> Result<(), Error> {
        let line = format!("{value}\n");
        self.hash.update(line.as_bytes());
        let written = self.out.write_all(line.as_bytes());
        written.map_err(|error| Error::system("write", &self.temporary, &error))
    }

    /// Puts the file in its place, durable when this returns.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let hash = hex::encode(&self.hash.clone().finalize());
        let records = self.records;
        self.line(&json!({"records": records, "sha256": hash}))?;
        let synced = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        let moved = synced.and_then(|()| std::fs::rename(&self.temporary, &self.path));
        moved.map_err(|error| Error::system("write", &self.path, &error))?;
        store::sync_folder_of(&self.path)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Absent once the file is in its place.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// Checks that a file is whole and of that kind.
///
/// # Errors
/// What it is instead.
pub(crate) fn check(path: &Path, kind: Kind) -> Result<(), Error> {
    let Kind { member, name } = kind;
    let not = |what: String| Error::new(format!("{} is {what}", path.display()));
    let (mut hash, mut before, mut lines) = (Sha256::new(), Vec::new(), 0u64);
    let mut file = open(path)?;
    loop {
        let mut line = Vec::new();
        let read = file.read_until(b'\n', &mut line);
        if read.map_err(|error| Error::system("read", path, &error))? == 0 {
            break;
        }
        if lines == 1 {
            match json::parse(&before).ok().and_then(|head| head[member].as_i64()) {
                Some(VERSION) => {}
                Some(_) => return Err(not(format!("the {name} of a newer release"))),
                None => return Err(not(format!("no {name} of a license authority"))),
            }
        }
        hash.update(&before);
        before = line;
        lines += 1;
    }
    let last = json::parse(&before).unwrap_or_default();
    let fits = last["sha256"] == hex::encode(&hash.finalize()).as_str()
        && last["records"].as_u64() == lines.checked_sub(2);
    if fits {
        return Ok(());
    }
    Err(not(format!("not a whole {name}: it was cut off or changed")))
}

/// Calls `each` for every record of a file that was checked.
///
/// # Errors
/// When it can't be read, holds a record that is not known, or that of `each`.
pub(crate) fn each_record(
    path: &Path,
    each: &mut dyn FnMut(Key, String) -> Result<(), Error>,
) -> Result<(), Error> {
    for line in open(path)?.split(b'\n') {
        let line = line.map_err(|error| Error::system("read", path, &error))?;
        let Ok(Value::Array(pair)) = json::parse(&line) else { continue };
        let [Value::String(key), Value::String(text)] = &pair[..] else { continue };
        let unknown =
            || Error::new(format!("{} holds a record of a newer release", path.display()));
        each(Key::parse(key).ok_or_else(unknown)?, text.clone())?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<BufReader<File>, Error> {
    let opened: io::Result<File> = File::open(path);
    opened.map(BufReader::new).map_err(|error| Error::system("open", path, &error))
}
