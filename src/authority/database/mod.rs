//! Where an authority keeps its records: one interface, kept by `files` in one folder and by `etcd` on
//! one or many machines.
//!
//! In: named texts, read and changed together in one atomic step ([`Database::transact`]), and read in
//! order ([`Database::scan`]). Out: what the texts mean; the accounting knows neither store.
//!
//! A step is optimistic, like a transaction of etcd's own clients: its function reads what it needs and says
//! what it would write. If another process has changed what was read, it runs again.

pub(crate) mod etcd;

#[cfg(test)]
pub(crate) mod contract;

#[cfg(test)]
pub(crate) mod memory;

pub(crate) mod files;

use std::fmt;
use std::ops::ControlFlow;

use crate::license::protocol::fields::license_code;
use crate::store::Error;
use crate::util::words::words;

/// Records that a step may read and write at most, so that a step stays below etcd's limit of 128
/// operations (`--max-txn-ops`).
pub(crate) const MAX_RECORDS: usize = 32;

/// Largest record, in bytes. A step with a few of them stays below etcd's limit of 1.5 MiB for a request
/// (`--max-request-bytes`).
pub(crate) const MAX_BYTES: usize = 128 * 1024;

/// The name of a record.
///
/// Records whose keys have the same [`Key::shard`] can be changed in one step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(String);

words! {
    /// What a record holds; the first word of its key.
    pub(crate) enum Kind {
        /// `license/NNN/CODE`: terms, totals and the head of the audit log.
        License = "license",
        /// `seat/NNN/CODE/DEVICE`: the accounts of one device key.
        Seat = "seat",
        /// `computer/NNN/CODE/ID`: which device key holds the seat of a computer.
        Computer = "computer",
        /// `answered/NNN/CODE/DEVICE-EPOCH-PAGE`: ids of requests that a seat answered.
        Answered = "answered",
        /// `refused/NNN/CODE`: ids of activations that were refused.
        Refused = "refused",
        /// `audit/NNN/CODE/NUMBER`: one line of the audit log, ten digits from 0000000001.
        Audit = "audit",
        /// `totals/NNN`: sums of all licenses of a shard.
        Totals = "totals",
        /// `keys/keys`: issuer and request keys and the head of their audit log.
        Keys = "keys",
        /// `keyaudit/keys/audit/NUMBER`: one line of their audit log, ten digits from 0000000001.
        KeyAudit = "keyaudit",
        /// `guesses/NNN`: wrong codes of some addresses, and `guesses/keys`: of all. Only in a store that is
        /// shared, and never copied.
        Guesses = "guesses",
    }
}

/// Shards of an authority's records. A license belongs to the one that the last three digits of its code
/// name, which are random.
pub(crate) const SHARDS: u16 = 1_000;

/// The shard of the keys.
pub(crate) const KEYS: &str = "keys";

impl Key {
    /// The keys of the authority.
    pub(crate) fn keys() -> Key {
        Key(format!("{}/{KEYS}", Kind::Keys.name()))
    }

    /// A line of their audit log, from 1.
    pub(crate) fn key_audit(number: u64) -> Key {
        Key(format!("{}/{KEYS}/audit/{number:010}", Kind::KeyAudit.name()))
    }

    /// The only record of that kind of a license.
    pub(crate) fn of_license(kind: Kind, code: &str) -> Key {
        Key(format!("{}/{}/{code}", kind.name(), shard_of(code)))
    }

    /// One of several records of that kind of a license; `name` is of `0-9`, `a-z` and `-`.
    pub(crate) fn within(kind: Kind, code: &str, name: impl fmt::Display) -> Key {
        Key(format!("{}/{}/{code}/{name}", kind.name(), shard_of(code)))
    }

    /// A line of a license's audit log, from 1.
    pub(crate) fn audit(code: &str, number: u64) -> Key {
        Key::within(Kind::Audit, code, format_args!("{number:010}"))
    }

    /// The sums of a shard.
    pub(crate) fn totals(shard: u16) -> Key {
        Key(format!("{}/{shard:03}", Kind::Totals.name()))
    }

    /// Wrong codes of the addresses of a slot (three digits), or of all for [`KEYS`].
    pub(crate) fn guesses(slot: &str) -> Key {
        Key(format!("{}/{slot}", Kind::Guesses.name()))
    }

    /// Reads what [`Key::as_str`] gives; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Key> {
        let key = Key(text.to_owned());
        let kind = key.kind()?;
        let shard = text.split('/').nth(1)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = match (kind, key.code(), key.name()) {
            (Kind::Keys, None, None) => shard == KEYS,
            (Kind::KeyAudit, None, Some(name)) => {
                shard == KEYS && name.len() == 10 && key.line().is_some()
            }
            (Kind::Guesses, None, None) if shard == KEYS => true,
            (Kind::Totals | Kind::Guesses, None, None) => {
                shard.len() == 3 && shard.parse().is_ok_and(|n: u16| n < SHARDS)
            }
            (Kind::License | Kind::Refused, Some(code), None) => shard_of(code) == shard,
            (Kind::Audit, Some(code), Some(name)) => {
                shard_of(code) == shard && name.len() == 10 && key.line().is_some()
            }
            (Kind::Seat | Kind::Computer | Kind::Answered, Some(code), Some(name)) => {
                shard_of(code) == shard && !name.is_empty() && name.chars().all(plain)
            }
            _ => false,
        };
        (fits && text.split('/').count() <= 4).then_some(key)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key without most digits of the license's code, for logs and errors.
    pub(crate) fn redacted(&self) -> String {
        match self.code() {
            Some(code) => self.0.replace(code, &redacted(code)),
            None => self.0.clone(),
        }
    }

    /// `None` only for the text of a key that is not one of ours.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.0.split('/').next().and_then(Kind::parse)
    }

    /// The shard, as its three digits.
    pub(crate) fn shard(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or("000")
    }

    /// The license that it belongs to.
    pub(crate) fn code(&self) -> Option<&str> {
        self.0.split('/').nth(2).filter(|code| license_code(code).is_some())
    }

    /// Its number, if it is a line of an audit log.
    pub(crate) fn line(&self) -> Option<u64> {
        match self.kind() {
            Some(Kind::Audit | Kind::KeyAudit) => self.name()?.parse().ok(),
            _ => None,
        }
    }

    /// The audit log of its license, or that of the keys.
    pub(crate) fn log(&self) -> Scope<'_> {
        match self.code() {
            Some(code) => Scope::License { kind: Kind::Audit, code },
            None => Scope::All { kind: Kind::KeyAudit },
        }
    }

    /// What tells it from the other records of that kind of its license.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.split('/').nth(3)
    }
}

/// A code with most digits left out, for logs and errors.
pub(crate) fn redacted(code: &str) -> String {
    format!("{}…{}", code.get(..4).unwrap_or_default(), code.get(14..).unwrap_or_default())
}

/// The last three digits of a code.
pub(crate) fn shard_of(code: &str) -> &str {
    code.get(15..).unwrap_or("000")
}

/// One step in progress.
pub(crate) trait Transaction {
    /// The text of a record, as it was when the step began or as the step has written it; `None` when absent.
    ///
    /// # Errors
    /// When the store can't be read.
    fn read(&mut self, key: &Key) -> Result<Option<String>, Error>;

    /// Says what the step will probably read, so that a store on another machine fetches it in one round trip.
    ///
    /// # Errors
    /// As [`Transaction::read`].
    fn prefetch(&mut self, _keys: &[Key]) -> Result<(), Error> {
        Ok(())
    }

    /// Writes a record, or removes it for `None`, if the step succeeds.
    ///
    /// A line of an audit log is never changed, and follows the line before it. Only the first one may be removed,
    /// and only where [`Database::is_shared`] is true.
    fn write(&mut self, key: Key, text: Option<String>);

    /// Writes a record, likewise.
    fn put(&mut self, (key, text): (Key, String)) {
        self.write(key, Some(text));
    }
}

/// What a scan goes through.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// Every record of one kind, in order of their keys.
    All { kind: Kind },
    /// Those of one kind in a shard (three digits).
    Shard { kind: Kind, shard: &'a str },
    /// Those of one license.
    License { kind: Kind, code: &'a str },
    /// The lines of its audit log that follow the one of that number.
    Lines { code: &'a str, after: u64 },
}

/// The work of one step. It may run several times, so it changes nothing but the transaction.
pub(crate) type Work<'a> = dyn FnMut(&mut dyn Transaction) -> Result<(), Error> + 'a;

/// Gets one record of a scan, and says whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(Key, String) -> Result<ControlFlow<()>, Error> + 'a;

/// The text of one record; `None` when absent.
///
/// # Errors
/// When the store can't be read.
pub(crate) fn read(database: &dyn Database, key: &Key) -> Result<Option<String>, Error> {
    let mut found = None;
    database.transact(key.shard(), &mut |step| {
        found = step.read(key)?;
        Ok(())
    })?;
    Ok(found)
}

/// A store of records, used by any number of threads and processes at once.
pub(crate) trait Database: Send + Sync {
    /// Runs `work` on records of `shard` (three digits) and makes what it wrote durable, all or nothing.
    ///
    /// # Errors
    /// That of `work`, with nothing written; or the store's, after which the step may have happened: the
    /// caller must not answer as if it had not.
    fn transact(&self, shard: &str, work: &mut Work<'_>) -> Result<(), Error>;

    /// Calls `visit` for each record in `scope`, in order of their keys, holding one page in memory at a time.
    ///
    /// What is changed meanwhile may be seen before or after its change.
    ///
    /// # Errors
    /// When the store can't be read, or that of `visit`.
    fn scan(&self, scope: Scope<'_>, visit: &mut Visit<'_>) -> Result<(), Error>;

    /// Whether machines share it. Then it holds what they count together, and to ask it and to keep something there
    /// is dear.
    fn is_shared(&self) -> bool {
        false
    }

    /// Steps of this process that had to run again, because what they had read was changed meanwhile.
    fn conflicts(&self) -> u64 {
        0
    }

    /// Whether the store can be reached and written.
    ///
    /// # Errors
    /// Why not.
    fn check(&self) -> Result<(), Error>;
}
