//! Where the accounts of a trace are: in memory, or in a store, which must tell the same story.

use std::sync::Arc;

use serde_json::json;

use super::{assert_settled, license, sign, terms, trace, values};
use crate::authority::accounting::{Context, Outcome, process};
use crate::authority::accounts::Accounts;
use crate::authority::database::files::Files;
use crate::authority::database::{Database, Transaction};
use crate::authority::licenses::{Licenses, Update};
use crate::store::Scratch;

/// Where the accounts of a trace are.
#[derive(Clone)]
pub(super) enum Books {
    /// All of them in memory, without a store.
    Values(Box<Accounts>),
    Store(Licenses),
}

impl Books {
    pub(super) fn ask(&mut self, context: &Context<'_>) -> Outcome {
        match self {
            Books::Values(accounts) => {
                let outcome = process(accounts, context, &sign);
                assert!(accounts.is_whole(), "{:?}", accounts.license);
                outcome
            }
            Books::Store(licenses) => {
                let (code, device) = (&context.request.license, &context.device);
                let load =
                    |step: &mut dyn Transaction| Accounts::load(step, device, context.request);
                let answered = licenses.update(code, context.now, &load, |accounts| {
                    let outcome = process(accounts, context, &sign);
                    assert!(accounts.is_consistent(), "{:?}", accounts.license);
                    let events = outcome.event.iter().map(|_| json!({})).collect();
                    Update { result: outcome, events }
                });
                answered.unwrap().unwrap()
            }
        }
    }

    pub(super) fn all(&self) -> Accounts {
        match self {
            Books::Values(accounts) => (**accounts).clone(),
            Books::Store(licenses) => {
                let accounts = licenses.whole(&terms().code);
                assert!(accounts.is_whole(), "{:?}", accounts.license);
                accounts
            }
        }
    }
}

/// Runs traces against a store that `open` makes empty, half of them with clones and snapshots.
pub(in crate::authority) fn traces_in(
    seeds: impl Iterator<Item = u64>,
    mut open: impl FnMut() -> Arc<dyn Database>,
) {
    for seed in seeds {
        let licenses = Licenses::new(open());
        assert!(licenses.create(&license(), 0, &json!({})).unwrap());
        let evil = seed % 2 == 1;
        let end = trace(seed, evil, Books::Store(licenses.clone()));
        let plain = trace(seed, evil, values());
        let audit = end.accounts.license.audit;
        let mut accounts = end.accounts.clone();
        accounts.license.audit = plain.accounts.license.audit;
        accounts.license.changed = plain.accounts.license.changed;
        // A computer that nobody ever held or took over need not be a record.
        assert_eq!(accounts, plain.accounts, "seed {seed}: the store tells another story");
        assert_eq!(licenses.audit(&end.accounts.license), Ok(audit.lines), "seed {seed}");
        if !evil {
            assert_settled(seed, &end);
        }
        licenses.verify(&mut |_| {}).unwrap();
    }
}

/// Traces against a store unless `STORE_TRACES` gives another number.
pub(in crate::authority) fn store_traces() -> u64 {
    std::env::var("STORE_TRACES").map_or(60, |number| number.parse().unwrap())
}

#[test]
fn the_files_tell_the_same_story_as_the_values() {
    let scratch = Scratch::new();
    let mut number = 0;
    traces_in(0..store_traces(), || {
        number += 1;
        let folder = scratch.0.join(number.to_string());
        std::fs::create_dir(&folder).unwrap();
        Arc::new(Files::new(&folder).unwrap())
    });
}
