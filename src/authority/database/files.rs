//! Records in one folder, each in a file of its own, changed together through a write-ahead journal.
//!
//! | file | holds |
//! | --- | --- |
//! | `records/NNN/journal` | the newest steps of the shard NNN, or of the keys; its lock as well |
//! | `records/NNN/totals.json` | the sums of the shard |
//! | `records/keys/keys.json`, `audit.log` | the keys, and what was done to them |
//! | `records/NNN/CODE/license.json` | terms, totals and the head of the audit log of a license |
//! | `records/NNN/CODE/audit.log` | its audit log, one line a record; `{"archived":N}` before line N + 1, if it is the first |
//! | `records/NNN/CODE/seat-DEVICE.json` and so on | its other records, by kind and name |
//!
//! A step is durable when its line in the journal is: one write and one sync. Its records are written to their
//! files afterwards, without a sync, because the journal can write them again. See [`journal`].

mod journal;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::license::protocol::fields::license_code;
use crate::store::{self, Error};

use super::{
    Database, KEYS, Key, Kind, MAX_BYTES, SHARDS, Scope, Transaction, Visit, Work, shard_of,
};
use journal::{Change, Journal};

/// The folder of all records.
const FOLDER: &str = "records";

/// What the first line of an audit log begins with whose older lines were archived before it was copied here.
const ARCHIVED: &str = "{\"archived\":";

/// Records in the files of one folder.
pub(crate) struct Files {
    root: PathBuf,
    /// Of the machine; read before a process gives up the right to.
    boot: String,
}

impl Files {
    /// Uses `dir/records`, which the first written record makes.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn new(dir: &Path) -> Result<Files, Error> {
        Ok(Files { root: dir.join(FOLDER), boot: journal::boot()? })
    }

    fn shard(&self, shard: &str) -> PathBuf {
        self.root.join(shard)
    }

    /// Completes what a crash interrupted, so that the files can be read; false when there is no such shard.
    fn settle(&self, shard: &str) -> Result<bool, Error> {
        Ok(Journal::open(&self.shard(shard), &self.boot)?.is_some())
    }

    /// The codes of a shard, in order.
    fn codes(&self, shard: &str) -> Result<Vec<String>, Error> {
        let names = list(&self.shard(shard))?;
        Ok(names.into_iter().filter(|name| license_code(name).is_some()).collect())
    }

    fn scan_shard(
        &self,
        kind: Kind,
        shard: &str,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        if !self.settle(shard)? {
            return Ok(ControlFlow::Continue(()));
        }
        // `visit` may be slow, so no lock is held here. A file is replaced, never half written.
        match kind {
            Kind::KeyAudit => {
                return scan_audit(&file(&self.root, &Key::key_audit(1)), Key::key_audit, visit);
            }
            Kind::Totals | Kind::Keys => {
                let key = Key(format!("{}/{shard}", kind.name()));
                return visit_file(&file(&self.root, &key), key, visit);
            }
            _ => {}
        }
        for code in &self.codes(shard)? {
            if self.scan_license(kind, code, visit)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn scan_license(
        &self,
        kind: Kind,
        code: &str,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let folder = self.shard(shard_of(code)).join(code);
        match kind {
            Kind::Audit => {
                let key = |number| Key::audit(code, number);
                return scan_audit(&file(&self.root, &key(1)), key, visit);
            }
            Kind::License | Kind::Refused => {
                let key = Key::of_license(kind, code);
                return visit_file(&file(&self.root, &key), key, visit);
            }
            _ => {}
        }
        let prefix = format!("{}-", kind.name());
        for name in list(&folder)? {
            let name = name.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".json"));
            if let Some(name) = name {
                let key = Key::within(kind, code, name);
                if visit_file(&file(&self.root, &key), key, visit)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Database for Files {
    fn transact(&self, shard: &str, work: &mut Work<'_>) -> Result<(), Error> {
        let folder = self.shard(shard);
        let mut step = Step {
            root: &self.root,
            journal: Journal::open(&folder, &self.boot)?,
            written: BTreeMap::new(),
        };
        work(&mut step)?;
        if step.written.is_empty() {
            return Ok(());
        }
        if step.journal.is_none() {
            // The first record of the shard. Another process may be as far.
            store::make_folder(&self.root)?;
            store::make_folder(&folder)?;
            step.journal = Some(Journal::make(&folder, &self.boot)?);
            step.written.clear();
            work(&mut step)?;
        }
        let Some(journal) = &mut step.journal else { return Ok(()) };
        journal.commit(&self.root, &changes(&self.root, step.written)?)
    }

    fn scan(&self, scope: Scope<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        match scope {
            Scope::License { kind, code } => {
                if self.settle(shard_of(code))? {
                    let _ = self.scan_license(kind, code, visit)?;
                }
            }
            Scope::Lines { code, after } => {
                let mut later = |key: Key, text: String| match key > Key::audit(code, after) {
                    true => visit(key, text),
                    false => Ok(ControlFlow::Continue(())),
                };
                self.scan(Scope::License { kind: Kind::Audit, code }, &mut later)?;
            }
            Scope::Shard { kind, shard } => {
                let _ = self.scan_shard(kind, shard, visit)?;
            }
            Scope::All { kind: kind @ (Kind::Keys | Kind::KeyAudit) } => {
                let _ = self.scan_shard(kind, KEYS, visit)?;
            }
            Scope::All { kind } => {
                for shard in 0..SHARDS {
                    if self.scan_shard(kind, &format!("{shard:03}"), visit)?.is_break() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        let probe = self.root.with_file_name("serve.check");
        let failed = |error: io::Error| Error::system("write", &probe, &error);
        let mut file = fs::File::create(&probe).map_err(failed)?;
        let written = file.write_all(b"x").and_then(|()| file.sync_all());
        fs::remove_file(&probe).and(written).map_err(failed)
    }
}

/// A step under the lock of its shard; without a journal the shard is empty.
struct Step<'a> {
    root: &'a Path,
    journal: Option<Journal>,
    written: BTreeMap<Key, Option<String>>,
}

impl Transaction for Step<'_> {
    fn read(&mut self, key: &Key) -> Result<Option<String>, Error> {
        match self.written.get(key) {
            Some(text) => Ok(text.clone()),
            None if self.journal.is_none() => Ok(None),
            None if is_line(key) => Err(Error::new("lines of an audit log are read by a scan")),
            None => read(&file(self.root, key)),
        }
    }

    fn write(&mut self, key: Key, text: Option<String>) {
        self.written.insert(key, text);
    }
}

/// Whether a record is a line of an audit log.
fn is_line(key: &Key) -> bool {
    matches!(key.kind(), Some(Kind::Audit | Kind::KeyAudit))
}

/// The file of a record.
fn file(root: &Path, key: &Key) -> PathBuf {
    let shard = root.join(key.shard());
    let kind = key.kind().map_or("", Kind::name);
    match (key.code(), key.name()) {
        (None, Some(_)) => shard.join("audit.log"),
        (None, None) => shard.join(format!("{kind}.json")),
        (Some(code), _) if is_line(key) => shard.join(code).join("audit.log"),
        (Some(code), None) => shard.join(code).join(format!("{kind}.json")),
        (Some(code), Some(name)) => shard.join(code).join(format!("{kind}-{name}.json")),
    }
}

/// What written records do to their files.
fn changes(root: &Path, written: BTreeMap<Key, Option<String>>) -> Result<Vec<Change>, Error> {
    let mut ends: BTreeMap<PathBuf, u64> = BTreeMap::new();
    let mut changes = Vec::new();
    for (key, text) in written {
        let path = file(root, &key);
        if text.as_ref().is_some_and(|text| text.len() > MAX_BYTES) {
            let text =
                format!("the record {} would have more than {MAX_BYTES} bytes", key.redacted());
            return Err(Error::new(text));
        }
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        changes.push(match (is_line(&key), text) {
            (true, Some(line)) => {
                let at = ends.get(&path).copied().map_or_else(|| length(&path), Ok)?;
                let before = key.line().unwrap_or(1).saturating_sub(1);
                let first = match (at, before) {
                    (0, 1..) => format!("{ARCHIVED}{before}}}\n"),
                    _ => String::new(),
                };
                let line = format!("{first}{line}\n");
                ends.insert(path, at + line.len() as u64);
                Change { name, at: Some(at), text: Some(line) }
            }
            (true, None) => {
                return Err(Error::new("lines of audit logs are not removed from a folder"));
            }
            (false, text) => Change { name, at: None, text },
        });
    }
    Ok(changes)
}

/// The length of a file; 0 when it is absent.
fn length(path: &Path) -> Result<u64, Error> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::system("look at", path, &error)),
    }
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    let Some(bytes) = store::read(path, MAX_BYTES as u64)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map(str::to_owned);
    let damaged =
        |_| Error::new(format!("{} is not text: restore it from a backup", path.display()));
    text.map(Some).map_err(damaged)
}

fn visit_file(path: &Path, key: Key, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, Error> {
    match read(path)? {
        Some(text) => visit(key, text),
        None => Ok(ControlFlow::Continue(())),
    }
}

/// Calls `visit` for each line of an audit log.
fn scan_audit(
    path: &Path,
    key: impl Fn(u64) -> Key,
    visit: &mut Visit<'_>,
) -> Result<ControlFlow<()>, Error> {
    let failed = |error: io::Error| Error::system("read", path, &error);
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(ControlFlow::Continue(()));
        }
        other => other.map_err(failed)?,
    };
    let mut number = 0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(failed)?;
        let archived = line.strip_prefix(ARCHIVED).filter(|_| number == 0);
        if let Some(lines) = archived.and_then(|text| text.strip_suffix('}')?.parse::<u64>().ok()) {
            number = lines;
            continue;
        }
        number += 1;
        if visit(key(number), line)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The names in a folder, in order; none when it is absent.
///
/// # Errors
/// When it can't be listed.
pub(in crate::authority) fn list(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |error: io::Error| Error::system("list", folder, &error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests;
