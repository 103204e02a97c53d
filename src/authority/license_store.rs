//! All licenses, each in its own file, so that the cost of an activation does not depend on their number.
//!
//! Nothing is cached in memory, and the lock of a license is the lock of its audit log, so commands may
//! change a license while `serve` runs.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::license::protocol::fields::license_code;
use crate::store::{self, Error};

use super::audit_log::{self, AuditLog};
use super::license::License;

/// The folder of all licenses.
const FOLDER: &str = "licenses";

/// The licenses of an authority.
pub(crate) struct LicenseStore {
    root: PathBuf,
}

/// The outcome of a change.
pub(crate) struct Update<T> {
    /// For the caller.
    pub(crate) result: T,
    /// The entry for the audit log; `None` when nothing has changed and nothing is to be written.
    pub(crate) event: Option<Map<String, Value>>,
}

impl LicenseStore {
    pub(crate) fn new(dir: &Path) -> LicenseStore {
        LicenseStore { root: dir.join(FOLDER) }
    }

    /// Changes a license under its lock, durable when this returns; `None` when there is no such license.
    ///
    /// # Errors
    /// When the file can't be read or written; then the change may have happened and the caller must
    /// not answer as if it had not. The message does not hold the code.
    pub(crate) fn update<T>(
        &self,
        code: &str,
        now: i64,
        change: impl FnOnce(&mut License) -> Update<T>,
    ) -> Result<Option<T>, Error> {
        let (state, log) = self.paths(code);
        let changed = || {
            let Some((mut audit_log, value)) = AuditLog::open(&state, &log)? else {
                return Ok(None);
            };
            let mut license =
                License::from_json(&value).map_err(|what| audit_log::damaged(&state, &what))?;
            let Update { result, event } = change(&mut license);
            if let Some(event) = event {
                audit_log.commit(&license.to_json(), event, now)?;
            }
            Ok(Some(result))
        };
        changed().map_err(|error| without_code(error, code))
    }

    /// Adds a new license; false when its code is taken.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn create(
        &self,
        license: &License,
        now: i64,
        event: Map<String, Value>,
    ) -> Result<bool, Error> {
        let (state, log) = self.paths(&license.terms.code);
        if let Some(shard) = state.parent() {
            make(&self.root)?;
            make(shard)?;
        }
        match AuditLog::create(&state, &log)? {
            None => Ok(false),
            Some(mut audit_log) => audit_log.commit(&license.to_json(), event, now).map(|()| true),
        }
    }

    /// Reads a license without waiting for its lock; `None` when there is no such license.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn read(&self, code: &str) -> Result<Option<License>, Error> {
        let (state, _) = self.paths(code);
        let read = audit_log::read(&state).and_then(|value| {
            let license = value.as_ref().map(License::from_json).transpose();
            license.map_err(|what| audit_log::damaged(&state, &what))
        });
        read.map_err(|error| without_code(error, code))
    }

    /// How many entries the audit log of a license has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn audit(&self, code: &str) -> Result<usize, Error> {
        // Under the lock, because the log is a line behind the state for a moment.
        let (state, log) = self.paths(code);
        match AuditLog::open(&state, &log)? {
            Some((_lock, value)) => audit_log::verify(&value, &log),
            None => Err(Error::Failed("there is no such license".to_owned())),
        }
    }

    /// The codes of all licenses, in order.
    ///
    /// # Errors
    /// When a folder can't be listed.
    pub(crate) fn codes(&self) -> Result<Vec<String>, Error> {
        let mut codes = Vec::new();
        for shard in list(&self.root)? {
            for name in list(&self.root.join(shard))? {
                codes.extend(name.strip_suffix(".json").and_then(license_code));
            }
        }
        codes.sort_unstable();
        Ok(codes)
    }

    /// `licenses/NNN/CODE.json` and `.log`; NNN are the last digits of the code, which are random.
    fn paths(&self, code: &str) -> (PathBuf, PathBuf) {
        let shard = self.root.join(code.get(15..).unwrap_or("none"));
        (shard.join(format!("{code}.json")), shard.join(format!("{code}.log")))
    }
}

/// A code with most digits left out, for logs and errors.
pub(crate) fn redacted(code: &str) -> String {
    format!("{}…{}", code.get(..4).unwrap_or_default(), code.get(14..).unwrap_or_default())
}

fn without_code(error: Error, code: &str) -> Error {
    let redact = |text: String| text.replace(code, &redacted(code));
    match error {
        Error::Untrusted(text) => Error::Untrusted(redact(text)),
        Error::Busy(text) => Error::Busy(redact(text)),
        Error::Failed(text) => Error::Failed(redact(text)),
    }
}

fn make(folder: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => store::sync_folder_of(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::system("make the folder", folder, &error)),
    }
}

fn list(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |error: io::Error| Error::system("list", folder, &error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Map;

    use super::{LicenseStore, Update, redacted};
    use crate::authority::accounting::model::terms;
    use crate::authority::license::License;
    use crate::store::Scratch;

    const CODE: &str = "494953679762904933";

    fn world() -> (Scratch, LicenseStore) {
        let scratch = Scratch::new();
        let store = LicenseStore::new(&scratch.0);
        assert!(store.create(&License::new(terms(), 1_000), 0, Map::new()).unwrap());
        (scratch, store)
    }

    fn take(store: &LicenseStore, seconds: i64) -> i64 {
        let take = |license: &mut License| {
            let result = license.balance.take(seconds);
            license.balance.charged += result;
            Update { result, event: Some(Map::new()) }
        };
        store.update(CODE, 0, take).unwrap().unwrap()
    }

    #[test]
    fn a_license_is_kept_listed_and_not_made_twice() {
        let (_scratch, store) = world();
        assert_eq!(take(&store, 60), 60);
        assert_eq!(store.read(CODE).unwrap().unwrap().balance.left, 940);
        assert_eq!((store.codes().unwrap(), store.audit(CODE)), (vec![CODE.to_owned()], Ok(2)));
        assert!(!store.create(&License::new(terms(), 1), 0, Map::new()).unwrap());
        let none = store.update("494900000000000000", 0, |_| Update { result: (), event: None });
        assert_eq!(none, Ok(None));
        assert_eq!(store.codes().unwrap().len(), 1, "a request makes no file");
    }

    #[test]
    fn the_last_seconds_are_granted_once_in_a_race() {
        let (_scratch, store) = world();
        let taken: i64 = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..20).map(|_| take(&store, 7)).sum::<i64>()))
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
        assert_eq!(store.read(CODE).unwrap().unwrap().balance.left, 0);
        assert_eq!(store.audit(CODE), Ok(1 + 8 * 20));
    }

    #[test]
    fn an_error_does_not_tell_the_code() {
        let (scratch, store) = world();
        std::fs::write(scratch.0.join(format!("licenses/933/{CODE}.json")), "{").unwrap();
        let change = |_: &mut License| Update { result: (), event: None };
        let error = store.update(CODE, 0, change).unwrap_err().to_string();
        assert!(error.contains(&redacted(CODE)) && !error.contains(CODE), "{error}");
    }
}
