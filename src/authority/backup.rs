//! A backup in one file: lines of JSON, written while `serve` goes on, each license as it was at one moment.
//!
//! | line | holds |
//! | --- | --- |
//! | first | `{"license-authority-backup":1,"made":TIME}` |
//! | others | `[KEY,TEXT]`, one record; a license's own record follows its others |
//! | last | `{"records":N,"sha256":"…"}` of all lines before |
//!
//! It holds the keys, so only its owner may read it. The root key is not in it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::license::protocol::hex;
use crate::store::{self, Error};
use crate::util::{json, utc};

use super::copy::{Batch, Copied, Target, copy};
use super::database::{Key, Kind, Scope};
use super::license::License;
use super::licenses::Licenses;
use super::records;

const VERSION: i64 = 1;

/// Writes a backup of everything to `path`, durable when this returns; an interrupted one leaves no file.
///
/// # Errors
/// When `path` exists, the system refuses, or the records can't be read.
pub(crate) fn backup(
    from: &Licenses,
    path: &Path,
    now: i64,
    progress: &mut dyn FnMut(u64),
) -> Result<Copied, Error> {
    if path.exists() {
        return Err(Error::Failed(format!("{} exists: name another file", path.display())));
    }
    let mut writer = Writer::new(path)?;
    let temporary = writer.temporary.clone();
    let head = json!({"license-authority-backup": VERSION, "made": utc::format(now)});
    let written = writer.line(&head).and_then(|()| copy(from, &mut writer, progress));
    let finished = written.and_then(|copied| writer.finish(path).map(|()| copied));
    if finished.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    finished
}

struct Writer {
    temporary: PathBuf,
    out: BufWriter<File>,
    hash: Sha256,
    records: u64,
    /// Lines of the audit log that is being written.
    audit: (Option<String>, u64),
}

impl Writer {
    fn new(path: &Path) -> Result<Writer, Error> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        // Never a file that is there: another user may have made it, to read the keys.
        let _ = std::fs::remove_file(&temporary);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(|error| Error::system("make", &temporary, &error))?;
        let out = BufWriter::new(file);
        Ok(Writer { temporary, out, hash: Sha256::new(), records: 0, audit: (None, 0) })
    }

    fn line(&mut self, value: &Value) -> Result<(), Error> {
        let line = format!("{value}\n");
        self.hash.update(line.as_bytes());
        let written = self.out.write_all(line.as_bytes());
        written.map_err(|error| Error::system("write", &self.temporary, &error))
    }

    fn finish(mut self, path: &Path) -> Result<(), Error> {
        let hash = hex::encode(&self.hash.clone().finalize());
        let records = self.records;
        self.line(&json!({"records": records, "sha256": hash}))?;
        let synced = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        let moved = synced.and_then(|()| std::fs::rename(&self.temporary, path));
        moved.map_err(|error| Error::system("write", path, &error))?;
        store::sync_folder_of(path)
    }
}

impl Target for Writer {
    fn license(&self, _code: &str) -> Result<Option<License>, Error> {
        Ok(None)
    }

    fn lines(&self, scope: Scope<'_>) -> Result<u64, Error> {
        let code = match scope {
            Scope::License { code, .. } | Scope::Lines { code, .. } => Some(code),
            Scope::All { .. } => None,
        };
        Ok(if self.audit.0.as_deref() == code { self.audit.1 } else { 0 })
    }

    fn put(&mut self, records: Vec<(Key, String)>) -> Result<(), Error> {
        for (key, text) in records {
            if matches!(key.kind(), Some(Kind::Audit | Kind::KeyAudit)) {
                let code = key.code().map(str::to_owned);
                let (before, lines) = &mut self.audit;
                *lines = if *before == code { *lines + 1 } else { 1 };
                *before = code;
            }
            self.records += 1;
            self.line(&json!([key.as_str(), text]))?;
        }
        Ok(())
    }

    fn complete(&mut self, license: &License) -> Result<(), Error> {
        let mut written = Vec::new();
        records::put_license(&mut Collected(&mut written), license);
        self.put(written)
    }
}

/// Takes what is written.
struct Collected<'a>(&'a mut Vec<(Key, String)>);

impl super::database::Transaction for Collected<'_> {
    fn read(&mut self, _key: &Key) -> Result<Option<String>, Error> {
        Ok(None)
    }

    fn write(&mut self, key: Key, text: Option<String>) {
        self.0.extend(text.map(|text| (key, text)));
    }
}

/// Puts a backup into an empty store, after checking that the file is whole. An interrupted one is repeated.
///
/// # Errors
/// When the file is not a whole backup: nothing was written. When the store can't be written.
pub(crate) fn restore(
    path: &Path,
    to: &mut Licenses,
    progress: &mut dyn FnMut(u64),
) -> Result<Copied, Error> {
    check(path)?;
    let mut copied = Copied::default();
    let mut known: HashMap<String, u64> = HashMap::new();
    let mut batch = Batch::default();
    each_record(path, &mut |key, text| {
        match key.kind() {
            Some(Kind::License) => {
                batch.flush(to)?;
                let license = records::parse_record(&key, &text, records::license_from)?;
                known.clear();
                match to.license(&license.terms.code)?.as_ref() == Some(&license) {
                    true => copied.unchanged += 1,
                    false => {
                        to.complete(&license)?;
                        copied.licenses += 1;
                    }
                }
                progress(copied.licenses + copied.unchanged);
            }
            Some(Kind::Audit | Kind::KeyAudit) => {
                let scope = match key.code() {
                    Some(code) => Scope::License { kind: Kind::Audit, code },
                    None => Scope::All { kind: Kind::KeyAudit, after: None },
                };
                let log = key.code().unwrap_or_default().to_owned();
                let there = match known.get(&log) {
                    Some(there) => *there,
                    None => *known.entry(log).or_insert(to.lines(scope)?),
                };
                let number = key.name().and_then(|name| name.parse::<u64>().ok()).unwrap_or(0);
                if number > there {
                    batch.push(key, text, to)?;
                }
            }
            _ => batch.push(key, text, to)?,
        }
        Ok(())
    })?;
    batch.flush(to)?;
    Ok(copied)
}

/// Checks that a file is a whole backup.
fn check(path: &Path) -> Result<(), Error> {
    let damaged =
        |what: &str| Error::Failed(format!("{} {what}: nothing was restored", path.display()));
    let (mut hash, mut before, mut lines) = (Sha256::new(), Vec::new(), 0u64);
    let mut file = open(path)?;
    loop {
        let mut line = Vec::new();
        let read = file.read_until(b'\n', &mut line);
        if read.map_err(|error| Error::system("read", path, &error))? == 0 {
            break;
        }
        if lines == 1 {
            let version = json::parse(&before)
                .ok()
                .and_then(|head| head["license-authority-backup"].as_i64());
            match version {
                Some(VERSION) => {}
                Some(_) => return Err(damaged("is the backup of a newer release")),
                None => return Err(damaged("is not a backup of a license authority")),
            }
        }
        hash.update(&before);
        before = line;
        lines += 1;
    }
    let last = json::parse(&before).unwrap_or_default();
    let fits = last["sha256"] == hex::encode(&hash.finalize()).as_str()
        && last["records"].as_u64() == lines.checked_sub(2);
    if fits { Ok(()) } else { Err(damaged("is not a whole backup: it was cut off or changed")) }
}

fn each_record(
    path: &Path,
    each: &mut dyn FnMut(Key, String) -> Result<(), Error>,
) -> Result<(), Error> {
    for line in open(path)?.split(b'\n') {
        let line = line.map_err(|error| Error::system("read", path, &error))?;
        let Ok(Value::Array(pair)) = json::parse(&line) else { continue };
        let [Value::String(key), Value::String(text)] = &pair[..] else { continue };
        let unknown =
            || Error::Failed(format!("{} holds a record of a newer release", path.display()));
        each(Key::parse(key).ok_or_else(unknown)?, text.clone())?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<BufReader<File>, Error> {
    let opened: io::Result<File> = File::open(path);
    opened.map(BufReader::new).map_err(|error| Error::system("open", path, &error))
}
