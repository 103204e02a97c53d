#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::path::Path;

use crate::authority::database::files::Files;
use crate::authority::database::memory::Memory;

use super::{FREE, OF_ALL, OF_ONE, RateLimit, Stage, WINDOW};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A store that is not shared, where nothing is written.
fn alone() -> Files {
    Files::new(Path::new("/nonexistent")).unwrap()
}

/// Tries so many wrong codes in one second; the stage after them.
fn guess(limit: &RateLimit, source: IpAddr, count: i64, now: i64) -> Stage {
    for _ in 0..count {
        let stage = limit.stage(source, now);
        if stage != Stage::Unread {
            limit.record(source, stage, now, &alone()).unwrap();
        }
    }
    limit.stage(source, now)
}

#[test]
fn ten_an_hour_are_free_then_sixty_are_metered_and_then_none_is_read() {
    let limit = RateLimit::default();
    let (here, there) = (ip("192.0.2.1"), ip("192.0.2.2"));
    assert_eq!(guess(&limit, here, 9, 0), Stage::Free);
    assert_eq!(guess(&limit, here, 1, 0), Stage::Metered);
    assert_eq!(guess(&limit, here, OF_ONE.0 - 1, 0), Stage::Metered);
    assert_eq!(guess(&limit, here, 1, 0), Stage::Unread);
    assert_eq!(limit.stage(there, 0), Stage::Free, "others don't notice");
    assert_eq!(limit.stage(here, OF_ONE.1 - 1), Stage::Unread);
    assert_eq!(limit.stage(here, OF_ONE.1), Stage::Metered, "a token is back");
    assert_eq!(guess(&limit, here, 1, OF_ONE.1), Stage::Unread);
    assert_eq!(limit.stage(here, WINDOW), Stage::Free, "the first one is an hour ago");
}

#[test]
fn who_guesses_all_day_gets_no_more_than_the_pace_of_a_bucket() {
    let limit = RateLimit::default();
    let here = ip("192.0.2.1");
    let mut read = 0;
    for now in 0..24 * WINDOW {
        for _ in 0..2 {
            let stage = limit.stage(here, now);
            if stage != Stage::Unread {
                limit.record(here, stage, now, &alone()).unwrap();
                read += 1;
            }
        }
    }
    let paced = 24 * (WINDOW / OF_ONE.1 + i64::from(FREE)) + OF_ONE.0;
    assert!((paced - 100..=paced).contains(&read), "{read} of {paced}");
}

#[test]
fn all_addresses_together_have_one_wrong_code_a_second_beyond_their_ten() {
    let limit = RateLimit::default();
    let crowd: Vec<IpAddr> = (1..=20).map(|last| ip(&format!("192.0.2.{last}"))).collect();
    let mut metered = 0;
    for source in &crowd {
        guess(&limit, *source, i64::from(FREE), 0);
        while limit.stage(*source, 0) == Stage::Metered {
            limit.record(*source, Stage::Metered, 0, &alone()).unwrap();
            metered += 1;
        }
    }
    assert_eq!(metered, OF_ALL.0);
    assert_eq!(limit.stage(crowd[19], 0), Stage::Unread);
    assert_eq!(limit.stage(crowd[19], 1), Stage::Metered);
    assert_eq!(limit.stage(ip("198.51.100.1"), 0), Stage::Free, "a newcomer is none of them");
}

#[test]
fn one_site_of_ipv6_is_one_address() {
    let limit = RateLimit::default();
    for network in 0..10 {
        let source = ip(&format!("2001:db8:0:{network}::1"));
        limit.record(source, limit.stage(source, 0), 0, &alone()).unwrap();
    }
    assert_eq!(limit.stage(ip("2001:db8::ffff"), 0), Stage::Metered);
    assert_eq!(limit.stage(ip("2001:db8:1::1"), 0), Stage::Free);
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let limit = RateLimit::default();
    let here = ip("192.0.2.1");
    guess(&limit, here, 100, 1_000_000);
    assert_eq!(limit.stage(here, 0), Stage::Free);
}

#[test]
fn machines_that_share_a_store_count_together() {
    let store = Memory::default();
    let machines = [RateLimit::default(), RateLimit::default(), RateLimit::default()];
    let (here, there) = (ip("192.0.2.1"), ip("2001:db8::1"));
    // Whoever counts the first one beyond the ten tells it, and nobody else.
    let mut told = 0;
    let mut guess = |machine: usize, source, now| {
        let limit = &machines[machine % machines.len()];
        let stage = limit.stage(source, now);
        if stage != Stage::Unread {
            told += u32::from(limit.record(source, stage, now, &store).unwrap());
        }
        (stage, limit.stage(source, now))
    };
    for number in 0..10 {
        guess(number, here, 0);
    }
    assert_eq!(machines[0].stage(here, 0), Stage::Metered, "it counted the tenth");
    // The others have one more guess each before they know.
    let metered = (0..300).filter(|number| guess(*number, here, 0).0 == Stage::Metered).count();
    assert!((60..=62).contains(&metered), "{metered}");
    assert!(machines.iter().all(|limit| limit.stage(here, 0) == Stage::Unread));
    assert_eq!(guess(0, there, 0), (Stage::Free, Stage::Free), "others don't notice");

    // All day, from machine to machine: no more than the pace of one bucket.
    let read =
        (1..24 * WINDOW).filter(|now| guess(*now as usize, here, *now).0 != Stage::Unread).count();
    assert_eq!(told, 24);
    let paced = 24 * (WINDOW / OF_ONE.1 + i64::from(FREE) + 2) + OF_ONE.0;
    assert!(i64::try_from(read).unwrap() <= paced, "{read} of {paced}");
}

#[test]
fn what_machines_count_together_is_bounded() {
    let store = Memory::default();
    let limit = RateLimit::default();
    // All of them in one record.
    for number in 0..200u32 {
        let source = IpAddr::from((number * 1_000).to_be_bytes());
        limit.record(source, Stage::Free, 0, &store).unwrap();
    }
    let late = IpAddr::from(400_000u32.to_be_bytes());
    assert_eq!(limit.stage(late, 0), Stage::Free);
    limit.record(late, Stage::Free, 0, &store).unwrap();
    assert_eq!(limit.stage(late, 0), Stage::Metered, "there is no place of its own");
    limit.record(late, Stage::Free, WINDOW, &store).unwrap();
    assert_eq!(limit.stage(late, WINDOW), Stage::Free, "the others are forgotten");
}
