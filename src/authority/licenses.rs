//! All licenses of an authority, in its database: each change together with its line in the audit log and with
//! the sums of all licenses.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;

use crate::license::protocol::fields::Fields;
use crate::store::Error;

use super::accounts::Accounts;
use super::audit;
use super::database::{Database, Key, Kind, Scope, Transaction, shard_of};
use super::license::License;
use super::records;
use super::seat::Seat;
use super::totals::Totals;

/// The licenses of an authority.
#[derive(Clone)]
pub(crate) struct Licenses {
    database: Arc<dyn Database>,
}

/// The outcome of a change.
pub(crate) struct Update<T> {
    /// For the caller.
    pub(crate) result: T,
    /// The entries for the audit log; none when nothing has changed and nothing is to be written.
    pub(crate) events: Vec<Value>,
}

/// Loads the records of a license that a change concerns; `None` when there is no such license.
pub(crate) type Load<'a> = &'a dyn Fn(&mut dyn Transaction) -> Result<Option<Accounts>, Error>;

impl Licenses {
    pub(crate) fn new(database: Arc<dyn Database>) -> Licenses {
        Licenses { database }
    }

    /// The store, to look after it.
    pub(crate) fn database(&self) -> &dyn Database {
        &*self.database
    }

    /// Changes a license in one step, durable when this returns; `None` when there is no such license.
    ///
    /// `change` may run again, if another process was faster.
    ///
    /// # Errors
    /// When records can't be read or written; then the change may have happened and the caller must
    /// not answer as if it had not. The message does not hold the code.
    pub(crate) fn update<T>(
        &self,
        code: &str,
        now: i64,
        load: Load<'_>,
        mut change: impl FnMut(&mut Accounts) -> Update<T>,
    ) -> Result<Option<T>, Error> {
        let mut done = None;
        self.step(code, &mut |step| {
            done = None;
            let Some(before) = load(step)? else { return Ok(()) };
            if !before.is_consistent() {
                let what =
                    "the seats of the license do not fit each other: restore it from a backup";
                return Err(Error::new(what));
            }
            let mut accounts = before.clone();
            let Update { result, events } = change(&mut accounts);
            if !events.is_empty() {
                for event in &events {
                    write_line(step, &mut accounts.license, event, now);
                }
                let records = accounts.changes_from(&before);
                records.into_iter().for_each(|record| step.put(record));
                write_totals(step, Some(&before.license), &accounts.license)?;
            }
            done = Some(result);
            Ok(())
        })?;
        Ok(done)
    }

    /// Adds a new license; false when its code is taken.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn create(&self, license: &License, now: i64, event: &Value) -> Result<bool, Error> {
        let code = &license.terms.code;
        let mut made = false;
        self.step(code, &mut |step| {
            made = step.read(&Key::of_license(Kind::License, code))?.is_none();
            if made {
                let mut license = license.clone();
                write_line(step, &mut license, event, now);
                step.put(records::license_record(&license));
                write_totals(step, None, &license)?;
            }
            Ok(())
        })?;
        Ok(made)
    }

    /// Reads a license without its seats; `None` when there is no such license.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn read(&self, code: &str) -> Result<Option<License>, Error> {
        let mut license = None;
        self.step(code, &mut |step| {
            license = records::license(step, code)?;
            Ok(())
        })?;
        Ok(license)
    }

    /// Calls `each` for every license, in order of their shards and codes, or with the reason why one can't be
    /// read.
    ///
    /// # Errors
    /// When the database can't be read, and that of `each`.
    pub(crate) fn each(
        &self,
        each: &mut dyn FnMut(Result<License, Error>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        self.database.scan(Scope::All { kind: Kind::License }, &mut |key, text| {
            each(records::parse_record(&key, &text, records::license_from))
        })
    }

    /// Calls `each` for every license of a shard, of which `shard` are the digits.
    ///
    /// # Errors
    /// When one can't be read.
    pub(crate) fn each_of_shard(
        &self,
        shard: &str,
        each: &mut dyn FnMut(License),
    ) -> Result<(), Error> {
        self.database.scan(Scope::Shard { kind: Kind::License, shard }, &mut |key, text| {
            each(records::parse_record(&key, &text, records::license_from)?);
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Calls `each` for every seat of a license.
    ///
    /// # Errors
    /// When one can't be read.
    pub(crate) fn each_seat(&self, code: &str, each: &mut dyn FnMut(Seat)) -> Result<(), Error> {
        self.database.scan(Scope::License { kind: Kind::Seat, code }, &mut |key, text| {
            each(records::parse_record(&key, &text, records::seat_from)?);
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The sums of all licenses, without reading them.
    ///
    /// # Errors
    /// When they can't be read.
    pub(crate) fn totals(&self) -> Result<Totals, Error> {
        let mut all = Totals::default();
        self.each_totals(&mut |_, totals| all.add(&totals))?;
        Ok(all)
    }

    fn each_totals(&self, each: &mut dyn FnMut(&Key, Totals)) -> Result<(), Error> {
        self.database.scan(Scope::All { kind: Kind::Totals }, &mut |key, text| {
            let read = |value: &Value| Totals::read(&Fields::of(value)?);
            each(&key, records::parse_record(&key, &text, read)?);
            Ok(ControlFlow::Continue(()))
        })
    }

    /// How often something changed in each shard, by its digits.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn changes(&self) -> Result<BTreeMap<String, i64>, Error> {
        let mut changes = BTreeMap::new();
        self.each_totals(&mut |key, totals| {
            changes.insert(key.shard().to_owned(), totals.changes);
        })?;
        Ok(changes)
    }

    /// How many entries the audit log of a license has, with those that were archived.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn audit(&self, license: &License) -> Result<u64, Error> {
        let code = &license.terms.code;
        let scope = Scope::Lines { code, after: license.archived.lines };
        audit::verify(&*self.database, scope, &license.archived, &license.audit)
    }

    fn step(
        &self,
        code: &str,
        work: &mut dyn FnMut(&mut dyn Transaction) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.database.transact(shard_of(code), work).map_err(|error| without_code(&error, code))
    }
}

/// Adds a line to the audit log of a license.
fn write_line(step: &mut dyn Transaction, license: &mut License, event: &Value, now: i64) {
    let line = license.audit.next_line(event, now);
    license.changed = now;
    step.write(Key::audit(&license.terms.code, license.audit.lines), Some(line));
}

/// Brings the sums of the license's shard up to date.
pub(super) fn write_totals(
    step: &mut dyn Transaction,
    before: Option<&License>,
    after: &License,
) -> Result<(), Error> {
    let shard = shard_of(&after.terms.code).parse().unwrap_or(0);
    let key = Key::totals(shard);
    let read = records::read(step, &key, |value| Totals::read(&Fields::of(value)?));
    let mut totals = read?.unwrap_or_default();
    totals.subtract(&before.map(Totals::of).unwrap_or_default());
    totals.add(&Totals::of(after));
    totals.changes += 1;
    step.write(key, Some(serde_json::json!(totals).to_string()));
    Ok(())
}

fn without_code(error: &Error, code: &str) -> Error {
    Error::new(error.to_string().replace(code, &super::database::redacted(code)))
}

mod verify;

#[cfg(test)]
mod tests;
