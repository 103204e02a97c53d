//! With a cluster that runs: `tests/real/etcd` starts it and tells in the environment where it is.
//!
//! `ETCD_URLS`, and where it has them `ETCD_CA`, `ETCD_CERT`, `ETCD_KEY`, `ETCD_USER` and
//! `ETCD_PASSWORD_FILE`, are the values of the flags. Each test has a prefix of its own.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::authority::accounting::model::{store_traces, traces_in};
use crate::authority::database::etcd::client::Effect;
use crate::authority::database::etcd::{TXN, wire};
use crate::authority::database::{Scope, contract, shard_of};
use crate::authority::rate_limit::{RateLimit, Stage};

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str, otherwise: u64) -> u64 {
    variable(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Prefixes that no other run has.
fn fresh() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    format!("authority-test/{now}/")
}

fn cluster(prefix: &str) -> Etcd {
    let names = ["etcd-ca", "etcd-cert", "etcd-key", "etcd-user", "etcd-password-file"];
    let values = names.map(|name| variable(&name.to_uppercase().replace('-', "_")));
    let given = names.into_iter().zip(&values);
    let mut flags: Vec<(&str, &str)> =
        given.filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    flags.push(("etcd-prefix", prefix));
    Etcd::new(&Options::of(&variable("ETCD_URLS").unwrap(), &flags).unwrap()).unwrap()
}

#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn it_does_what_every_store_does() {
    contract::holds(&cluster(&fresh()));
}

#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn no_update_of_several_processes_is_lost() {
    let prefix = fresh();
    let all: Vec<Etcd> = (0..8).map(|_| cluster(&prefix)).collect();
    contract::no_update_is_lost(&all.iter().map(|one| one as &dyn Database).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn accounts_tell_the_same_story_as_values() {
    let traces = store_traces();
    // Each waits for etcd most of the time.
    const THREADS: usize = 8;
    thread::scope(|scope| {
        for first in 0..THREADS as u64 {
            let seeds = (first..traces).step_by(THREADS);
            scope.spawn(move || traces_in(seeds, || Arc::new(cluster(&fresh()))));
        }
    });
    println!("figures: {traces} traces");
}

#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn wrong_codes_are_counted_together() {
    let prefix = fresh();
    let machines = [(); 2].map(|()| (RateLimit::default(), cluster(&prefix)));
    let source = std::net::Ipv4Addr::LOCALHOST.into();
    for number in 0..11 {
        let (limit, store) = &machines[number % 2];
        let told = limit.record(source, limit.stage(source, 0), 0, store).unwrap();
        assert_eq!(told, number == 10);
    }
    for (limit, _) in &machines {
        assert_eq!(limit.stage(source, 0), Stage::Metered, "each knows of all");
    }
}

/// A change that comes between two reads of a step is not seen by the second one, and is not overwritten.
#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn a_step_sees_one_moment() {
    let prefix = fresh();
    let (store, other) = (cluster(&prefix), cluster(&prefix));
    let seat = Key::within(Kind::Seat, CODE, "a");
    for is_prefetched in [false, true] {
        let mut seen = Vec::new();
        transact(&store, |step| {
            if is_prefetched {
                step.prefetch(&[license()])?;
            }
            let before = step.read(&license())?;
            if seen.is_empty() {
                transact(&other, |step| {
                    let next = step.read(&license())?.unwrap_or_default() + "y";
                    step.write(seat.clone(), Some(next.clone()));
                    step.write(license(), Some(next));
                    Ok(())
                })?;
            }
            seen.push((before, step.read(&seat)?));
            grow(step)
        })
        .unwrap();
        assert_eq!(seen.len(), 2, "{seen:?}");
        // The text of the seat is what the license was, or that without the letter of the last step.
        assert!(
            seen[0].1.as_ref().is_none_or(|seat| seen[0].0 == Some(format!("{seat}x"))),
            "{seen:?}"
        );
        assert_eq!(seen[1].0, seen[1].1, "{seen:?}");
    }
}

#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn prefixes_are_apart() {
    let (one, other) = (cluster(&fresh()), cluster(&fresh()));
    transact(&one, grow).unwrap();
    let seen = |store: &Etcd| {
        let mut seen = 0;
        let scope = Scope::All { kind: Kind::License };
        store
            .scan(scope, &mut |_, _| {
                seen += 1;
                Ok(std::ops::ControlFlow::Continue(()))
            })
            .unwrap();
        seen
    };
    assert_eq!((seen(&one), seen(&other)), (1, 0));
}

/// What `ETCD_WANTED` says is wrong with the cluster.
#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn a_check_says_what_is_wrong() {
    let checked = cluster(&fresh()).check().map_err(|error| error.to_string());
    match variable("ETCD_WANTED") {
        None => assert_eq!(checked, Ok(())),
        Some(wanted) => {
            let error = checked.unwrap_err();
            println!("{error}");
            assert!(error.contains(&wanted), "{error}");
        }
    }
}

const COUNTERS: u64 = 8;

/// As the accounting does: one who asks again under the same number is not counted again.
fn count_once(
    step: &mut dyn Transaction,
    code: &str,
    thread: u64,
    number: u64,
) -> Result<(), Error> {
    let seat = Key::within(Kind::Seat, code, thread);
    step.prefetch(&[seat.clone(), Key::of_license(Kind::License, code)])?;
    if step.read(&seat)?.is_some_and(|last| last.parse::<u64>().unwrap() >= number) {
        return Ok(());
    }
    step.write(seat, Some(number.to_string()));
    contract::count(step, code, &format!("{thread} {number}"))
}

/// Threads count for `ETCD_SECONDS` while `tests/real/etcd` kills and stops members. Half of them share a
/// license. Each asks again, under the same number, until it has an answer.
#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn everything_is_counted_once_whatever_happens_to_members() {
    let store = cluster(&fresh());
    store.check().unwrap();
    println!("counting");
    let end = Instant::now() + Duration::from_secs(number("ETCD_SECONDS", 5));
    let (counted, errors, longest) = (AtomicU64::new(0), AtomicU32::new(0), AtomicU64::new(0));
    let code_of = |thread: u64| {
        format!("49495367976290{:04}", if thread.is_multiple_of(2) { 0 } else { thread })
    };
    thread::scope(|scope| {
        for thread in 0..COUNTERS {
            let (store, counted, errors, longest) = (&store, &counted, &errors, &longest);
            scope.spawn(move || {
                let code = code_of(thread);
                for number in 1.. {
                    let begun = Instant::now();
                    while let Err(error) = store.transact(shard_of(&code), &mut |step| {
                        count_once(step, &code, thread, number)
                    }) {
                        let error = error.to_string();
                        assert!(!error.contains(&code), "{error}");
                        println!("{error}");
                        errors.fetch_add(1, Ordering::Relaxed);
                        assert!(begun.elapsed() < Duration::from_secs(60));
                        thread::sleep(Duration::from_millis(100));
                    }
                    let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
                    longest.fetch_max(took, Ordering::Relaxed);
                    counted.fetch_add(1, Ordering::Relaxed);
                    if Instant::now() > end {
                        return;
                    }
                }
            });
        }
    });
    let (mut total, mut lines) = (0, Vec::new());
    let mut codes: Vec<String> = (0..COUNTERS).map(code_of).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in &codes {
        let license = Key::of_license(Kind::License, code);
        store
            .transact(shard_of(code), &mut |step| {
                total += step.read(&license)?.unwrap().parse::<u64>().unwrap();
                Ok(())
            })
            .unwrap();
        store
            .scan(Scope::License { kind: Kind::Audit, code }, &mut |_, line| {
                lines.push(line);
                Ok(std::ops::ControlFlow::Continue(()))
            })
            .unwrap();
    }
    lines.sort_unstable();
    lines.dedup();
    let counted = counted.into_inner();
    assert_eq!((total, lines.len() as u64), (counted, counted));
    let (errors, longest) = (errors.into_inner(), longest.into_inner());
    println!("figures: {counted} steps counted once, {errors} errors, longest wait {longest} ms");
}

/// Steps a second, each with two reads, two writes and a line, beside txns of the same size alone.
#[test]
#[ignore = "needs etcd: tests/real/etcd"]
fn speed() {
    let store = cluster(&fresh());
    let next = AtomicU64::new(0);
    for threads in [1, 16] {
        let steps = rate(threads, &|| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let code = format!("4949{:014}", number % 5000);
            store
                .transact(shard_of(&code), &mut |step| count_once(step, &code, 1, number + 1))
                .unwrap();
        });
        let bare = rate(threads, &|| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let key = |word| format!("{}speed/{word}/{number}", store.prefix);
            let compared = ["license", "seat"].map(|word| (key(word), 0));
            let written = ["license", "seat", "audit"].map(|word| (key(word), Some("1 23456")));
            let txn = wire::txn(compared.into_iter(), written.into_iter());
            let answer = store.client.ask(TXN, &txn, Effect::Once).unwrap();
            assert_eq!(wire::succeeded(&answer), Some(true));
        });
        println!("figures: {threads} threads: {steps} steps/s, {bare} txns/s alone");
    }
}

/// How often a second `work` is done.
fn rate(threads: usize, work: &(dyn Fn() + Sync)) -> u64 {
    const SECONDS: u64 = 5;
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    work();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(Duration::from_secs(SECONDS));
        stop.store(true, Ordering::Relaxed);
    });
    done.into_inner() / SECONDS
}
