//! A backup in one file, written while `serve` goes on, each license as it was at one moment; its own record
//! follows its others.
//!
//! It holds the keys, so only its owner may read it. The root key is not in it.

use std::collections::HashMap;
use std::path::Path;

use crate::store::Error;

use super::copy::{Batch, Copied, Target, copy};
use super::database::{Key, Kind, Scope};
use super::license::License;
use super::licenses::Licenses;
use super::record_file::{self, Writer, check, each_record};
use super::records;

/// The file of a backup.
const BACKUP: record_file::Kind =
    record_file::Kind { member: "license-authority-backup", name: "backup" };

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
    let mut backup = Backup { file: Writer::new(path, BACKUP, now)?, audit: (None, 0) };
    let copied = copy(from, &mut backup, progress)?;
    backup.file.finish()?;
    Ok(copied)
}

struct Backup {
    file: Writer,
    /// The newest line of the audit log that is being written.
    audit: (Option<String>, u64),
}

impl Target for Backup {
    fn license(&self, _code: &str) -> Result<Option<License>, Error> {
        Ok(None)
    }

    fn last_line(&self, scope: Scope<'_>) -> Result<u64, Error> {
        let code = match scope {
            Scope::License { code, .. } | Scope::Lines { code, .. } => Some(code),
            Scope::All { .. } | Scope::Shard { .. } => None,
        };
        Ok(if self.audit.0.as_deref() == code { self.audit.1 } else { 0 })
    }

    fn put(&mut self, records: Vec<(Key, String)>) -> Result<(), Error> {
        for (key, text) in records {
            if let Some(line) = key.line() {
                self.audit = (key.code().map(str::to_owned), line);
            }
            self.file.put(&key, &text)?;
        }
        Ok(())
    }

    fn complete(&mut self, license: &License) -> Result<(), Error> {
        self.put(vec![records::license_record(license)])
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
    check(path, BACKUP).map_err(|error| Error::new(format!("{error}: nothing was restored")))?;
    let mut copied = Copied::default();
    let mut known: HashMap<String, u64> = HashMap::new();
    let mut batch = Batch::default();
    each_record(path, &mut |key, text| {
        if let Some(line) = key.line() {
            let log = key.code().unwrap_or_default().to_owned();
            let there = match known.get(&log) {
                Some(there) => *there,
                None => *known.entry(log).or_insert(to.last_line(key.log())?),
            };
            return if line > there { batch.push(key, text, to) } else { Ok(()) };
        }
        if key.kind() != Some(Kind::License) {
            return batch.push(key, text, to);
        }
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
        Ok(())
    })?;
    batch.flush(to)?;
    Ok(copied)
}
