//! One step in progress: what was read, all of one revision, and what shall be written.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::Effect;
use super::failure::{Failure, Kind};
use super::wire::{self, Record};
use super::{Etcd, RANGE, TXN, named};
use crate::authority::database::{Key, MAX_BYTES, MAX_RECORDS, Transaction};
use crate::store::Error;

/// A record as the store has it.
struct Seen {
    /// The revision of its last change; 0 when absent.
    changed: i64,
    text: Option<String>,
    /// Whether the work knows it, so that the commit depends on it.
    is_read: bool,
}

impl Seen {
    fn of(record: Option<Record>) -> Seen {
        let changed = record.as_ref().map_or(0, |record| record.changed);
        Seen { changed, text: record.map(|record| record.text), is_read: false }
    }
}

/// The first read sets the revision of all others, so that they show the store at one moment.
pub(super) struct Step<'a> {
    etcd: &'a Etcd,
    revision: Option<i64>,
    seen: BTreeMap<Key, Seen>,
    written: BTreeMap<Key, Option<String>>,
    /// Why a read failed. Whatever the work makes of it, the step must not be committed.
    failure: Option<Failure>,
}

impl<'a> Step<'a> {
    pub(super) fn new(etcd: &'a Etcd) -> Step<'a> {
        let (seen, written) = (BTreeMap::new(), BTreeMap::new());
        Step { etcd, revision: None, seen, written, failure: None }
    }

    /// Why a read failed, if one did.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// The txn that commits it; `None` when there is nothing to write.
    ///
    /// # Errors
    /// It is larger than the limits allow.
    pub(super) fn txn(&self) -> Result<Option<Value>, Error> {
        if self.written.is_empty() {
            return Ok(None);
        }
        let read = || self.seen.iter().filter(|(_, seen)| seen.is_read);
        if read().count() > MAX_RECORDS || self.written.len() > MAX_RECORDS {
            return Err(Error::new(format!(
                "a step reads {} and writes {} records, more than the limit of {MAX_RECORDS}: nothing was \
                 changed",
                read().count(),
                self.written.len()
            )));
        }
        for (key, text) in &self.written {
            if let Some(length) =
                text.as_ref().map(String::len).filter(|length| *length > MAX_BYTES)
            {
                return Err(Error::new(format!(
                    "{} would have {length} bytes, more than the limit of {MAX_BYTES}: nothing was changed",
                    named(key)
                )));
            }
        }
        let unchanged = read().map(|(key, seen)| (self.etcd.path(key), seen.changed));
        let written = self.written.iter().map(|(key, text)| (self.etcd.path(key), text.as_deref()));
        Ok(Some(wire::txn(unchanged, written)))
    }

    fn fetch(&mut self, key: &Key) -> Result<Seen, Failure> {
        let request = wire::get(&self.etcd.path(key), self.revision);
        let answer = self.etcd.client.ask(RANGE, &request, Effect::None)?;
        let mut page = wire::page(&answer).ok_or_else(|| {
            Failure::new(Kind::Refused, format!("{} is not text as it was written", named(key)))
        })?;
        self.revision.get_or_insert(page.revision);
        Ok(Seen::of(page.records.pop()))
    }

    /// Reads all of `keys` in one round trip.
    fn fetch_all(&mut self, keys: Vec<Key>) -> Result<(), Failure> {
        let paths: Vec<String> = keys.iter().map(|key| self.etcd.path(key)).collect();
        let request = wire::get_all(&paths, self.revision);
        let answer = self.etcd.client.ask(TXN, &request, Effect::None)?;
        let what = "a record is not text as it was written";
        let found = wire::all(&answer, keys.len());
        let (revision, found) = found.ok_or_else(|| Failure::new(Kind::Refused, what))?;
        self.revision.get_or_insert(revision);
        self.seen.extend(keys.into_iter().zip(found.into_iter().map(Seen::of)));
        Ok(())
    }

    /// The error for the work; the failure itself is kept.
    fn failed(&mut self, failure: Failure) -> Error {
        let error = super::error(&failure);
        self.failure = Some(failure);
        error
    }
}

impl Transaction for Step<'_> {
    fn read(&mut self, key: &Key) -> Result<Option<String>, Error> {
        if let Some(text) = self.written.get(key) {
            return Ok(text.clone());
        }
        if !self.seen.contains_key(key) {
            let seen = self.fetch(key).map_err(|failure| self.failed(failure))?;
            self.seen.insert(key.clone(), seen);
        }
        Ok(self.seen.get_mut(key).and_then(|seen| {
            seen.is_read = true;
            seen.text.clone()
        }))
    }

    fn prefetch(&mut self, keys: &[Key]) -> Result<(), Error> {
        let is_new = |key: &&Key| !self.seen.contains_key(key) && !self.written.contains_key(key);
        let mut keys: Vec<Key> = keys.iter().filter(is_new).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            return Ok(());
        }
        self.fetch_all(keys).map_err(|failure| self.failed(failure))
    }

    fn write(&mut self, key: Key, text: Option<String>) {
        self.written.insert(key, text);
    }
}
