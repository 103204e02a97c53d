//! Who has to go when there are more connections than there may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

/// A connection for which nobody works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) since: Instant,
    /// It is not its client that it waits for.
    pub(crate) is_ready: bool,
    /// See [`source`](super::client_prefix::source).
    pub(crate) source: IpAddr,
    pub(crate) token: u64,
}

/// At least so many go at once, if there are twice as many, and this part of all: looking at all of them
/// for each that comes would be an attack by itself.
const LEAST: usize = 32;
const PART: usize = 64;

/// The address with most of them has to have more than this part of all to be a crowd by itself, and more
/// than a browser opens: half a dozen of one household are none, where all others have one each.
const SHARE: usize = 16;
const FEW: usize = 8;

/// Those who have to go: of a crowded address first, if there is one, and who has waited longest. So one
/// host's thousands cost no other host a connection, and those of thousands of hosts cost it only to who
/// has kept us waiting for longer than all of them.
pub(crate) fn select_victims<T: Copy>(mut crowd: Vec<(Candidate, T)>) -> Vec<(Candidate, T)> {
    let count = (crowd.len() / PART).max(LEAST).min(crowd.len().div_ceil(2));
    if count >= crowd.len() {
        return crowd;
    }
    let mut from: HashMap<IpAddr, usize> = HashMap::new();
    for (waiting, _) in &crowd {
        *from.entry(waiting.source).or_default() += 1;
    }
    let most = from.into_iter().max_by_key(|(_, count)| *count);
    let crowded =
        most.filter(|(_, count)| *count > FEW.max(crowd.len() / SHARE)).map(|(source, _)| source);
    let rank = |(waiting, _): &(Candidate, T)| {
        (Some(waiting.source) != crowded, waiting.is_ready, waiting.since)
    };
    crowd.select_nth_unstable_by_key(count, rank);
    crowd.truncate(count);
    crowd
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use super::{Candidate, LEAST, select_victims};

    /// A crowd in which connection `n` came at second `n` from address `from(n)`.
    fn crowd(count: u32, from: impl Fn(u32) -> u32) -> Vec<(Candidate, ())> {
        let start = Instant::now();
        let one = |n| Candidate {
            since: start + Duration::from_secs(n),
            is_ready: false,
            source: IpAddr::V4(Ipv4Addr::from_bits(from(u32::try_from(n).unwrap_or(0)))),
            token: n,
        };
        (0..count.into()).map(|n| (one(n), ())).collect()
    }

    fn gone(crowd: Vec<(Candidate, ())>) -> Vec<u64> {
        let mut tokens: Vec<u64> = select_victims(crowd).iter().map(|(w, ())| w.token).collect();
        tokens.sort_unstable();
        tokens
    }

    #[test]
    fn from_as_many_addresses_the_oldest_go() {
        assert_eq!(gone(crowd(1_000, |n| n)), (0..32).collect::<Vec<u64>>());
    }

    #[test]
    fn who_has_said_something_stays_before_all_who_have_not() {
        let mut crowd = crowd(1_000, |n| n);
        crowd.iter_mut().take(500).for_each(|(waiting, ())| waiting.is_ready = true);
        assert_eq!(gone(crowd), (500..532).collect::<Vec<u64>>());
    }

    #[test]
    fn some_of_one_house_are_no_crowd() {
        let of_few = |n| if (500..550).contains(&n) { u32::MAX } else { n };
        assert_eq!(gone(crowd(1_000, of_few)), (0..32).collect::<Vec<u64>>());
    }

    #[test]
    fn the_oldest_of_a_crowded_address_go_before_all_others() {
        // Every tenth is somebody else, and the oldest of all is too.
        let of_many = |n| if n % 10 == 0 { n } else { u32::MAX };
        let expected: Vec<u64> = (0..).filter(|n| n % 10 != 0).take(LEAST).collect();
        assert_eq!(gone(crowd(1_000, of_many)), expected);
    }

    #[test]
    fn of_a_large_crowd_a_part_goes_at_once_and_of_a_small_one_half() {
        assert_eq!(gone(crowd(64_000, |n| n)).len(), 1_000);
        assert_eq!(gone(crowd(10, |n| n)), [0, 1, 2, 3, 4]);
        assert_eq!(gone(crowd(1, |n| n)), [0]);
        assert_eq!(gone(crowd(0, |n| n)).len(), 0);
    }
}
