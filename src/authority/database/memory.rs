//! A store in memory, for tests of what is kept in a [`Database`].
//!
//! It runs the work of each step twice and keeps the second run, as if another process had won a race for
//! the first. It panics where a step asks for more than every store can do.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Mutex;

use super::{Database, Key, Kind, MAX_BYTES, MAX_RECORDS, Scope, Transaction, Visit, Work};
use crate::store::Error;

type Records = BTreeMap<Key, String>;

/// Records that are gone with the value.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Records>);

struct Step<'a> {
    shard: &'a str,
    records: &'a Records,
    read: BTreeSet<Key>,
    written: BTreeMap<Key, Option<String>>,
}

impl Transaction for Step<'_> {
    fn read(&mut self, key: &Key) -> Result<Option<String>, Error> {
        assert_eq!(key.shard(), self.shard, "{key:?}");
        if let Some(written) = self.written.get(key) {
            return Ok(written.clone());
        }
        self.read.insert(key.clone());
        assert!(self.read.len() <= MAX_RECORDS, "a step reads more than {MAX_RECORDS} records");
        Ok(self.records.get(key).cloned())
    }

    fn write(&mut self, key: Key, text: Option<String>) {
        assert_eq!(key.shard(), self.shard, "{key:?}");
        assert_eq!(Key::parse(key.as_str()).as_ref(), Some(&key));
        assert!(text.as_ref().is_none_or(|text| text.len() <= MAX_BYTES), "{key:?} is too large");
        if key.kind() == Some(Kind::Audit) {
            self.check_audit(&key, text.is_some());
        }
        self.written.insert(key, text);
        assert!(self.written.len() <= MAX_RECORDS, "a step writes more than {MAX_RECORDS} records");
    }
}

impl Step<'_> {
    fn check_audit(&self, key: &Key, is_there: bool) {
        let exists = |key: &Key| self.records.contains_key(key) || self.written.contains_key(key);
        let before = Key::audit(key.code().unwrap(), key.line().unwrap() - 1);
        if !is_there {
            let gone = !self.records.contains_key(&before) || self.written.contains_key(&before);
            assert!(gone, "{key:?} is removed, and the line before is not");
            return;
        }
        assert!(!exists(key), "{key:?} is changed");
        assert!(key.line() == Some(1) || exists(&before), "{key:?} follows no line");
    }
}

impl Database for Memory {
    fn transact(&self, shard: &str, work: &mut Work<'_>) -> Result<(), Error> {
        let mut records = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut run = || {
            let (read, written) = (BTreeSet::new(), BTreeMap::new());
            let mut step = Step { shard, records: &records, read, written };
            work(&mut step).map(|()| step.written)
        };
        let _lost = run();
        for (key, text) in run()? {
            match text {
                Some(text) => records.insert(key, text),
                None => records.remove(&key),
            };
        }
        Ok(())
    }

    fn scan(&self, scope: Scope<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        let all = self.0.lock().unwrap().clone();
        let wanted = all.into_iter().filter(|(key, _)| match scope {
            Scope::All { kind } => key.kind() == Some(kind),
            Scope::Shard { kind, shard } => key.kind() == Some(kind) && key.shard() == shard,
            Scope::License { kind, code } => key.kind() == Some(kind) && key.code() == Some(code),
            Scope::Lines { code, after } => {
                key.kind() == Some(Kind::Audit)
                    && key.code() == Some(code)
                    && *key > Key::audit(code, after)
            }
        });
        for (key, text) in wanted {
            if visit(key, text)? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::authority::database::contract;

    #[test]
    fn it_does_what_every_store_does() {
        contract::holds(&Memory::default());
    }
}
