//! Copies an authority from one store to another: to a folder, to etcd, into a backup.
//!
//! A license is complete in the target when its own record is, which is written last, with its sums; the keys come
//! after all licenses. So a copy that was interrupted is repeated, and what is there already and unchanged is
//! passed over.

use std::ops::ControlFlow;

use crate::license::protocol::fields::Fields;
use crate::store::Error;

use super::audit::AuditHead;
use super::database::{Database, Key, Kind, MAX_RECORDS, Scope, read, redacted, shard_of};
use super::license::License;
use super::licenses::{Licenses, write_totals};
use super::records;

/// How often a license is read again because it changed meanwhile.
const MAX_TRIES: usize = 100;

/// Where records are copied to.
pub(crate) trait Target {
    /// The license as the target has it, with all its records.
    ///
    /// # Errors
    /// When the target can't be read.
    fn license(&self, code: &str) -> Result<Option<License>, Error>;

    /// The number of the newest line of an audit log that the target has; 0 when it has none.
    ///
    /// # Errors
    /// When the target can't be read.
    fn last_line(&self, scope: Scope<'_>) -> Result<u64, Error>;

    /// Writes records of one shard, at most [`MAX_RECORDS`].
    ///
    /// # Errors
    /// When the target can't be written.
    fn put(&mut self, records: Vec<(Key, String)>) -> Result<(), Error>;

    /// Writes a license whose other records were written.
    ///
    /// # Errors
    /// When the target can't be written.
    fn complete(&mut self, license: &License) -> Result<(), Error>;
}

/// Bytes of records that are written together, so that they are one request to etcd.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// Records of one shard that are written together.
#[derive(Default)]
pub(super) struct Batch {
    records: Vec<(Key, String)>,
    bytes: usize,
}

impl Batch {
    /// Adds a record, and writes those before it if they are enough or of another shard.
    ///
    /// # Errors
    /// When the target can't be written.
    pub(super) fn push(
        &mut self,
        key: Key,
        text: String,
        to: &mut dyn Target,
    ) -> Result<(), Error> {
        let other = self.records.first().is_some_and(|(first, _)| first.shard() != key.shard());
        if other || self.records.len() == MAX_RECORDS || self.bytes + text.len() > MAX_BATCH_BYTES {
            self.flush(to)?;
        }
        self.bytes += text.len();
        self.records.push((key, text));
        Ok(())
    }

    /// Writes what was added.
    ///
    /// # Errors
    /// When the target can't be written.
    pub(super) fn flush(&mut self, to: &mut dyn Target) -> Result<(), Error> {
        self.bytes = 0;
        let records = std::mem::take(&mut self.records);
        if records.is_empty() { Ok(()) } else { to.put(records) }
    }
}

/// What was copied.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Licenses that were written.
    pub(crate) licenses: u64,
    /// Licenses that were there already.
    pub(crate) unchanged: u64,
}

/// Copies everything. `progress` gets the number of licenses so far.
///
/// # Errors
/// When a store can't be read or written. What was copied until then stays, and need not be copied again.
pub(crate) fn copy(
    from: &Licenses,
    to: &mut dyn Target,
    progress: &mut dyn FnMut(u64),
) -> Result<Copied, Error> {
    let mut copied = Copied::default();
    from.each(&mut |license| {
        match copy_license(from, to, license?)? {
            true => copied.licenses += 1,
            false => copied.unchanged += 1,
        }
        progress(copied.licenses + copied.unchanged);
        Ok(ControlFlow::Continue(()))
    })?;
    copy_keys(from.database(), to)?;
    Ok(copied)
}

/// Fails unless the target has no keys yet, or those of the same authority.
///
/// # Errors
/// When it is the folder or the store of another authority, or can't be read.
pub(crate) fn check_target(from: &dyn Database, to: &dyn Database) -> Result<(), Error> {
    let root = |database| {
        let keys = read(database, &Key::keys())?;
        keys.map(|text| parse_keys(&text, |keys| keys.object("root", |root| root.text("pub", 100))))
            .transpose()
    };
    match (root(from)?, root(to)?) {
        (None, _) => Err(Error::new("there is no license authority to copy")),
        (Some(from), Some(to)) if from != to => {
            Err(Error::new("the target holds another license authority: nothing was copied"))
        }
        _ => Ok(()),
    }
}

fn copy_keys(from: &dyn Database, to: &mut dyn Target) -> Result<(), Error> {
    let Some(keys) = read(from, &Key::keys())? else { return Ok(()) };
    let head = parse_keys(&keys, |keys| keys.object("audit", AuditHead::read))?;
    copy_lines(from, to, Scope::All { kind: Kind::KeyAudit }, &head)?;
    to.put(vec![(Key::keys(), keys)])
}

fn parse_keys<T>(
    text: &str,
    parse: impl FnOnce(&Fields<'_>) -> Result<T, crate::license::protocol::fields::Error>,
) -> Result<T, Error> {
    records::parse_record(&Key::keys(), text, |value| parse(&Fields::of(value)?))
}

/// Copies one license, again while it changes; false if the target has it as it is.
fn copy_license(from: &Licenses, to: &mut dyn Target, mut license: License) -> Result<bool, Error> {
    let code = license.terms.code.clone();
    match to.license(&code)? {
        Some(known) if known == license => return Ok(false),
        // Seconds that the target granted since would be granted again.
        Some(known) if known.audit.lines >= license.audit.lines => {
            let what = "is newer in the target than in the source: nothing of it was copied";
            return Err(Error::new(format!("the license {} {what}", redacted(&code))));
        }
        _ => {}
    }
    for _ in 0..MAX_TRIES {
        for kind in [Kind::Seat, Kind::Computer, Kind::Answered, Kind::Refused] {
            let mut batch = Batch::default();
            from.database().scan(Scope::License { kind, code: &code }, &mut |key, text| {
                batch.push(key, text, to)?;
                Ok(ControlFlow::Continue(()))
            })?;
            batch.flush(to)?;
        }
        let lines = Scope::License { kind: Kind::Audit, code: &code };
        copy_lines(from.database(), to, lines, &license.audit)?;
        match from.read(&code)? {
            // Nothing changed while its records were read.
            Some(again) if again == license => return to.complete(&license).map(|()| true),
            Some(again) => license = again,
            None => break,
        }
    }
    let what = "changed whenever it was read: try again when it is quiet";
    Err(Error::new(format!("the license {} {what}", redacted(&code))))
}

/// Copies the lines of an audit log up to `head` that the target does not have.
fn copy_lines(
    from: &dyn Database,
    to: &mut dyn Target,
    scope: Scope<'_>,
    head: &AuditHead,
) -> Result<(), Error> {
    let there = to.last_line(scope)?;
    let mut before = there;
    let mut batch = Batch::default();
    from.scan(scope, &mut |key, text| {
        let number = key.line().unwrap_or(0);
        if number > there && number <= head.lines {
            if before > 0 && number != before + 1 {
                return Err(Error::new(format!(
                    "the audit log {} has line {before} in the target, and the source begins with {number}, \
                     because older ones were archived: copy to an empty place",
                    key.redacted()
                )));
            }
            before = number;
            batch.push(key, text, to)?;
        }
        Ok(if number >= head.lines { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    batch.flush(to)
}

impl Target for Licenses {
    fn license(&self, code: &str) -> Result<Option<License>, Error> {
        self.read(code)
    }

    fn last_line(&self, scope: Scope<'_>) -> Result<u64, Error> {
        let mut last = 0;
        self.database().scan(scope, &mut |key, _| {
            last = key.line().unwrap_or(0);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(last)
    }

    fn put(&mut self, records: Vec<(Key, String)>) -> Result<(), Error> {
        let Some((first, _)) = records.first() else { return Ok(()) };
        self.database().transact(first.shard(), &mut |step| {
            records.iter().for_each(|record| step.put(record.clone()));
            Ok(())
        })
    }

    fn complete(&mut self, license: &License) -> Result<(), Error> {
        let code = &license.terms.code;
        self.database().transact(shard_of(code), &mut |step| {
            let before = records::license(step, code)?;
            step.put(records::license_record(license));
            write_totals(step, before.as_ref(), license)
        })
    }
}
