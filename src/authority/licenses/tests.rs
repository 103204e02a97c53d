#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Licenses, Load, Update};
use crate::authority::accounting::model::{busy_accounts, terms};
use crate::authority::accounts::Accounts;
use crate::authority::database::files::Files;
use crate::authority::database::{Key, Kind, Scope, Transaction, redacted, shard_of};
use crate::authority::license::{License, Terms};
use crate::authority::records;
use crate::authority::replay_ids::ReplayIds;
use crate::authority::seat::Page;
use crate::authority::totals::Totals;
use crate::license::protocol::fields::Fields;
use crate::license::protocol::hex::Digest;
use crate::store::Scratch;

const CODE: &str = "494953679762904933";

impl Licenses {
    /// A license with all its records.
    pub(crate) fn whole(&self, code: &str) -> Accounts {
        let mut accounts = Accounts::new(self.read(code).unwrap().unwrap());
        self.each_seat(code, &mut |seat| {
            accounts.seats.insert(seat.device, seat);
        })
        .unwrap();
        let scan = |kind, each: &mut dyn FnMut(&Key, Value)| {
            let scanned = self.database.scan(Scope::License { kind, code }, &mut |key, text| {
                each(&key, serde_json::from_str(&text).unwrap());
                Ok(ControlFlow::Continue(()))
            });
            scanned.unwrap();
        };
        scan(Kind::Computer, &mut |key, value| {
            let computer = records::computer_from(&value).unwrap();
            accounts.computers.insert(key.name().unwrap().to_owned(), computer);
        });
        scan(Kind::Answered, &mut |key, value| {
            let mut parts = key.name().unwrap().split('-');
            let page = Page {
                device: Digest::parse(parts.next().unwrap()).unwrap(),
                epoch: parts.next().unwrap().parse().unwrap(),
                number: parts.next().unwrap().parse().unwrap(),
            };
            let ids = ReplayIds::parse(value["ids"].as_str().unwrap()).unwrap();
            accounts.answered.insert(page, ids);
        });
        self.step(code, &mut |step| {
            accounts.refused = records::refused(step, code)?;
            Ok(())
        })
        .unwrap();
        accounts
    }
}

fn world() -> (Scratch, Licenses) {
    let scratch = Scratch::new();
    let licenses = Licenses::new(Arc::new(Files::new(&scratch.0).unwrap()));
    assert!(licenses.create(&License::new(terms(), 1_000), 0, &json!({})).unwrap());
    (scratch, licenses)
}

fn alone(
    code: &str,
) -> impl Fn(&mut dyn Transaction) -> Result<Option<Accounts>, crate::store::Error> {
    move |step: &mut dyn Transaction| Ok(records::license(step, code)?.map(Accounts::new))
}

fn take(licenses: &Licenses, seconds: i64) -> i64 {
    let load: Load<'_> = &alone(CODE);
    let taken = licenses.update(CODE, 0, load, |accounts| {
        let balance = &mut accounts.license.balance;
        let result = balance.take(seconds);
        balance.charged += result;
        Update { result, events: vec![json!({})] }
    });
    taken.unwrap().unwrap()
}

#[test]
fn a_license_is_kept_listed_and_not_made_twice() {
    let (_scratch, licenses) = world();
    assert_eq!(take(&licenses, 60), 60);
    let license = licenses.read(CODE).unwrap().unwrap();
    assert_eq!((license.balance.left, licenses.audit(&license)), (940, Ok(2)));
    assert!(!licenses.create(&License::new(terms(), 1), 0, &json!({})).unwrap());
    let other = "494900000000000000";
    let none =
        licenses.update(other, 0, &alone(other), |_| Update { result: (), events: Vec::new() });
    assert_eq!(none, Ok(None));
    let mut codes = Vec::new();
    licenses
        .each(&mut |license| {
            codes.push(license.unwrap().terms.code);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(codes, [CODE], "a request makes no file");
}

#[test]
fn the_last_seconds_are_granted_once_in_a_race() {
    let (_scratch, licenses) = world();
    let taken: i64 = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..20).map(|_| take(&licenses, 7)).sum::<i64>()))
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(taken, 1_000);
    let license = licenses.read(CODE).unwrap().unwrap();
    assert_eq!((license.balance.left, licenses.audit(&license)), (0, Ok(1 + 8 * 20)));
}

#[test]
fn the_totals_are_the_sums_of_all_licenses() {
    let (_scratch, licenses) = world();
    for digits in 0..40 {
        let terms = Terms { code: format!("4949000000000000{digits:02}"), ..terms() };
        assert!(licenses.create(&License::new(terms, 100), 0, &json!({})).unwrap());
    }
    take(&licenses, 60);
    let mut sum = Totals::default();
    licenses
        .each(&mut |license| {
            sum.add(&Totals::of(&license.unwrap()));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    sum.changes = 42;
    assert_eq!((licenses.totals(), sum.licenses, sum.secs_used), (Ok(sum), 41, 60));
}

#[test]
fn an_error_does_not_tell_the_code() {
    let (scratch, licenses) = world();
    std::fs::write(scratch.0.join(format!("records/933/{CODE}/license.json")), "{").unwrap();
    let error = licenses.read(CODE).unwrap_err().to_string();
    assert!(error.contains(&redacted(CODE)) && !error.contains(CODE), "{error}");
}

#[test]
fn a_changed_or_missing_line_of_the_audit_log_is_found() {
    let (scratch, licenses) = world();
    (0..4).for_each(|_| {
        take(&licenses, 1);
    });
    let license = licenses.read(CODE).unwrap().unwrap();
    let path = scratch.0.join(format!("records/933/{CODE}/audit.log"));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(licenses.audit(&license), Ok(5));
    for line in 0..5 {
        let kept = text.lines().enumerate().filter(|(at, _)| *at != line);
        let without: String = kept.map(|(_, line)| format!("{line}\n")).collect();
        std::fs::write(&path, without).unwrap();
        assert!(licenses.audit(&license).is_err(), "without line {line}");
    }
    std::fs::write(&path, text.replacen("1970", "1971", 1)).unwrap();
    assert!(licenses.audit(&license).is_err());
    let mut faults = Vec::new();
    let verified = licenses.verify_all(&mut |_| {}, &mut |fault| faults.push(fault.to_string()));
    assert_eq!(verified.unwrap().licenses, 0);
    assert!(faults.len() == 1 && faults[0].contains(&redacted(CODE)), "{faults:?}");
}

#[test]
fn seconds_that_do_not_add_up_are_refused() {
    let (_scratch, licenses) = world();
    for name in ["allocated", "left", "charged"] {
        let key = Key::of_license(Kind::License, CODE);
        let mut text = String::new();
        let mut change = |edit: &mut dyn FnMut(&str) -> String| {
            let changed = licenses.database.transact(shard_of(CODE), &mut |step| {
                text = step.read(&key)?.unwrap();
                step.write(key.clone(), Some(edit(&text)));
                Ok(())
            });
            changed.unwrap();
            text.clone()
        };
        let whole = change(&mut |text| {
            let mut value: Value = serde_json::from_str(text).unwrap();
            value[name] = (value[name].as_i64().unwrap() + 1).into();
            value.to_string()
        });
        let error = licenses.read(CODE).unwrap_err().to_string();
        assert!(error.contains("its seconds do not add up"), "{error}");
        change(&mut |_| whole.clone());
    }
}

#[test]
fn every_record_is_read_as_it_was_written() {
    for seed in 0..20 {
        let accounts = busy_accounts(seed);
        assert!(!accounts.seats.is_empty());
        let scratch = Scratch::new();
        let licenses = Licenses::new(Arc::new(Files::new(&scratch.0).unwrap()));
        let empty = Accounts::new(accounts.license.clone());
        // A seat at a time, because one step has a limit.
        let saved = licenses.database.transact(shard_of(CODE), &mut |step| {
            accounts.changes_from(&empty).into_iter().for_each(|record| step.put(record));
            Ok(())
        });
        saved.unwrap();
        assert_eq!(licenses.whole(CODE), accounts, "seed {seed}");
    }
    let newer = serde_json::json!({"v": 3});
    assert!(Fields::of(&newer).unwrap().version(2).unwrap_err().to_string().contains("version 3"));
}
