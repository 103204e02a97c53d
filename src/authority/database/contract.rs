//! What every [`Database`] does, as tests that each store runs on itself.
//!
//! The store must be empty. No two of the checks use the same license.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::thread;

use super::{Database, Key, Kind, MAX_BYTES, MAX_RECORDS, Scope, Transaction, shard_of};
use crate::store::Error;

/// Threads that count at once.
const THREADS: usize = 8;

/// Steps of each of them.
const STEPS: usize = 25;

/// All of them, with one user of the store.
pub(crate) fn holds(database: &dyn Database) {
    database.check().unwrap();
    a_step_happens_whole_or_not_at_all(database);
    a_step_reads_what_it_has_written(database);
    a_step_has_room_for_its_limits(database);
    no_update_is_lost(&[database]);
    audit_lines_are_in_order(database);
    a_license_has_its_records_alone(database);
    scans_go_through_everything_in_order(database);
    scans_end_when_the_visitor_says_so(database);
}

/// License number `number` of a shard.
fn code(number: usize, shard: u16) -> String {
    format!("{:015}{shard:03}", 494_900_000_000_000 + number)
}

fn change(
    database: &dyn Database,
    code: &str,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<(), Error>,
) -> Result<(), Error> {
    database.transact(shard_of(code), &mut work)
}

fn text_of(database: &dyn Database, key: &Key) -> Option<String> {
    let mut found = None;
    let read = |step: &mut dyn Transaction| step.read(key).map(|text| found = text);
    change(database, key.code().unwrap(), read).unwrap();
    found
}

fn scanned(database: &dyn Database, scope: Scope<'_>) -> Vec<(Key, String)> {
    let mut found = Vec::new();
    let mut visit = |key, text| {
        found.push((key, text));
        Ok(ControlFlow::Continue(()))
    };
    database.scan(scope, &mut visit).unwrap();
    found
}

/// Counts in the record of the license, and writes a line of the audit log.
pub(crate) fn count(step: &mut dyn Transaction, code: &str, line: &str) -> Result<(), Error> {
    let license = Key::of_license(Kind::License, code);
    let next = step.read(&license)?.map_or(0, |text| text.parse().unwrap()) + 1;
    step.write(license, Some(next.to_string()));
    step.write(Key::audit(code, next), Some(line.to_owned()));
    Ok(())
}

fn a_step_happens_whole_or_not_at_all(database: &dyn Database) {
    let code = code(1, 7);
    let keys = [
        Key::of_license(Kind::License, &code),
        Key::within(Kind::Seat, &code, "00ff"),
        Key::audit(&code, 1),
    ];
    let stop = Error::new("enough");
    let stopped = change(database, &code, |step| {
        keys.iter().for_each(|key| step.write(key.clone(), Some("never".to_owned())));
        Err(stop.clone())
    });
    assert_eq!(stopped, Err(stop));
    assert!(keys.iter().all(|key| text_of(database, key).is_none()));

    change(database, &code, |step| {
        keys.iter().for_each(|key| step.write(key.clone(), Some("once".to_owned())));
        Ok(())
    })
    .unwrap();
    assert!(keys.iter().all(|key| text_of(database, key).as_deref() == Some("once")));

    change(database, &code, |step| {
        step.write(keys[1].clone(), None);
        Ok(())
    })
    .unwrap();
    assert_eq!(text_of(database, &keys[1]), None);
    assert_eq!(text_of(database, &keys[0]).as_deref(), Some("once"));
}

fn a_step_reads_what_it_has_written(database: &dyn Database) {
    let code = code(2, 7);
    let (seat, license) =
        (Key::within(Kind::Seat, &code, "a"), Key::of_license(Kind::License, &code));
    for before in [None, Some("new")] {
        change(database, &code, |step| {
            step.prefetch(&[seat.clone(), license.clone()])?;
            assert_eq!(step.read(&seat)?.as_deref(), before);
            step.write(seat.clone(), None);
            step.prefetch(std::slice::from_ref(&seat))?;
            assert_eq!((step.read(&seat)?, step.read(&license)?), (None, None));
            step.write(seat.clone(), Some("new".to_owned()));
            assert_eq!(step.read(&seat)?.as_deref(), Some("new"));
            Ok(())
        })
        .unwrap();
    }
}

fn a_step_has_room_for_its_limits(database: &dyn Database) {
    let code = code(3, 7);
    let keys = (0..MAX_RECORDS).map(|number| Key::within(Kind::Answered, &code, number));
    let keys: Vec<Key> = keys.collect();
    let largest = "\"ü\n\\".repeat(MAX_BYTES / 5);
    for round in 0..2 {
        change(database, &code, |step| {
            for (number, key) in keys.iter().enumerate() {
                assert_eq!(step.read(key)?.is_some(), round > 0);
                let text = if number < 4 { largest.clone() } else { String::new() };
                step.write(key.clone(), Some(text));
            }
            Ok(())
        })
        .unwrap();
    }
    assert_eq!(text_of(database, &keys[0]), Some(largest));
    assert_eq!(text_of(database, &keys[MAX_RECORDS - 1]), Some(String::new()));
}

/// The users are different processes in the eyes of the store.
pub(crate) fn no_update_is_lost(users: &[&dyn Database]) {
    let code = code(4, 7);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (user, code) = (users[thread % users.len()], &code);
            scope.spawn(move || {
                for step in 0..STEPS {
                    let line = format!("{thread} {step}");
                    change(user, code, |step| count(step, code, &line)).unwrap();
                }
            });
        }
    });
    let total = text_of(users[0], &Key::of_license(Kind::License, &code));
    assert_eq!(total, Some((THREADS * STEPS).to_string()));
    let lines = scanned(users[0], Scope::License { kind: Kind::Audit, code: &code });
    let numbers: Vec<Key> = lines.iter().map(|(key, _)| key.clone()).collect();
    let wanted: Vec<Key> = (1..=numbers.len() as u64).map(|n| Key::audit(&code, n)).collect();
    assert_eq!(numbers, wanted);
    let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), THREADS * STEPS);
}

fn audit_lines_are_in_order(database: &dyn Database) {
    let code = code(5, 7);
    let lines: Vec<String> = (1..=120).map(|number| format!("line {number}")).collect();
    for line in &lines {
        change(database, &code, |step| count(step, &code, line)).unwrap();
    }
    let found = scanned(database, Scope::License { kind: Kind::Audit, code: &code });
    assert_eq!(found.into_iter().map(|(_, line)| line).collect::<Vec<_>>(), lines);
}

fn a_license_has_its_records_alone(database: &dyn Database) {
    // Neighbours in the order of keys, and a shard of another number.
    let codes = [code(6, 8), code(7, 8), code(8, 8), code(7, 9)];
    for owner in &codes {
        change(database, owner, |step| {
            for name in ["0", "zz", "a-b"] {
                step.write(Key::within(Kind::Computer, owner, name), Some(owner.clone()));
            }
            step.write(Key::of_license(Kind::Refused, owner), Some(owner.clone()));
            Ok(())
        })
        .unwrap();
    }
    for owner in &codes {
        let found = scanned(database, Scope::License { kind: Kind::Computer, code: owner });
        let names: Vec<_> = found.iter().map(|(key, _)| key.name().unwrap()).collect();
        assert_eq!(names, ["0", "a-b", "zz"]);
        assert!(found.iter().all(|(key, text)| key.code() == Some(text) && text == owner));
        let found = scanned(database, Scope::License { kind: Kind::Refused, code: owner });
        assert_eq!(found, [(Key::of_license(Kind::Refused, owner), owner.clone())]);
    }
    let absent = code(9, 8);
    assert_eq!(scanned(database, Scope::License { kind: Kind::Computer, code: &absent }), []);
}

/// More than any page holds, in several shards.
fn scans_go_through_everything_in_order(database: &dyn Database) {
    const LICENSES: usize = 56;
    const RECORDS: usize = 30;
    for number in 0..LICENSES {
        let code = code(100 + number, u16::try_from(number % 10 * 111).unwrap());
        change(database, &code, |step| {
            for seat in 0..RECORDS {
                let text = Some(format!("{number} {seat}"));
                step.write(Key::within(Kind::Seat, &code, format_args!("{seat:02}")), text);
            }
            Ok(())
        })
        .unwrap();
    }
    let all = scanned(database, Scope::All { kind: Kind::Seat });
    assert!(all.is_sorted_by(|one, other| one.0 < other.0));
    assert!(all.iter().all(|(key, _)| key.kind() == Some(Kind::Seat)));
    let own = |key: &Key| key.name().unwrap().len() == 2 && key.code().unwrap() >= &*code(100, 0);
    assert_eq!(all.iter().filter(|(key, _)| own(key)).count(), LICENSES * RECORDS);
    let shards: BTreeSet<&str> = all.iter().map(|(key, _)| key.shard()).collect();
    let of_shards = shards.iter().flat_map(|shard| {
        let found = scanned(database, Scope::Shard { kind: Kind::Seat, shard });
        assert!(found.iter().all(|(key, _)| key.shard() == *shard), "{shard}: {found:?}");
        found
    });
    assert!(of_shards.eq(all.iter().cloned()));
    assert_eq!(scanned(database, Scope::Shard { kind: Kind::License, shard: "111" }), []);
    assert_eq!(scanned(database, Scope::All { kind: Kind::Totals }), []);
}

fn scans_end_when_the_visitor_says_so(database: &dyn Database) {
    let scope = Scope::All { kind: Kind::Seat };
    let mut seen = 0;
    let mut visit = |_, _| {
        seen += 1;
        Ok(if seen < 1000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    };
    database.scan(scope, &mut visit).unwrap();
    assert_eq!(seen, 1000);
    let stop = Error::new("enough");
    assert_eq!(database.scan(scope, &mut |_, _| Err(stop.clone())), Err(stop));
}
