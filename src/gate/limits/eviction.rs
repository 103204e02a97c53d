//! Which connections are closed when the connection limit or the request limit is reached.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use super::permits::Class;

/// What connections are evicted for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// Room for a connection: idle ones are evicted, without a request in progress.
    Connection,
    /// A permit for a request of this class: slow clients that hold one are evicted.
    Permit(Class),
}

/// A connection that may be evicted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// The client sends no more: it may have disconnected, or still read (RFC 9112 section 9.6 has half-closed
    /// connections).
    pub(crate) is_half_closed: bool,
    /// See [`client_prefix`](crate::util::client_prefix::client_prefix).
    pub(crate) prefix: IpAddr,
    /// The connection waits for its turn and not for its client.
    pub(crate) is_ready: bool,
    /// When the connection became idle, or its request began.
    pub(crate) since: Instant,
}

/// Fewest connections closed at once, but at most half of all: comparing all connections for each new one would let
/// an attacker waste our time.
const MIN_VICTIMS: usize = 32;

/// One in so many connections is closed at once.
const VICTIM_PART: usize = 64;

/// The address with the most connections is crowded if it has more than one in so many of all.
const CROWDED_PART: usize = 16;

/// An address with so few connections is never crowded, because a browser opens half a dozen.
const CROWDED_MIN: usize = 8;

/// Selects the connections to close: first those whose clients may have disconnected, then those of the crowded
/// address, then the oldest. So thousands of connections from one host cost no other host a connection, and
/// thousands of hosts displace only connections that have been idle for longer than theirs.
pub(crate) fn select_victims<T: Copy>(mut all: Vec<(Candidate, T)>) -> Vec<(Candidate, T)> {
    let count = (all.len() / VICTIM_PART).max(MIN_VICTIMS).min(all.len().div_ceil(2));
    if count >= all.len() {
        return all;
    }
    let mut counts: HashMap<IpAddr, usize> = HashMap::new();
    for (candidate, _) in &all {
        *counts.entry(candidate.prefix).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    let crowded = most
        .filter(|(_, count)| *count > CROWDED_MIN.max(all.len() / CROWDED_PART))
        .map(|(prefix, _)| prefix);
    let key = |(candidate, _): &(Candidate, T)| {
        let Candidate { is_half_closed, prefix, is_ready, since } = *candidate;
        (!is_half_closed, Some(prefix) != crowded, is_ready, since)
    };
    all.select_nth_unstable_by_key(count, key);
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use super::{Candidate, MIN_VICTIMS, select_victims};

    /// Candidates of which number `n` came at second `n` from address `from(n)`.
    fn candidates(count: u32, from: impl Fn(u32) -> u32) -> Vec<(Candidate, u32)> {
        let start = Instant::now();
        let one = |n| Candidate {
            is_half_closed: false,
            prefix: IpAddr::V4(Ipv4Addr::from_bits(from(n))),
            is_ready: false,
            since: start + Duration::from_secs(n.into()),
        };
        (0..count).map(|n| (one(n), n)).collect()
    }

    fn victims(all: Vec<(Candidate, u32)>) -> Vec<u32> {
        let mut numbers: Vec<u32> = select_victims(all).into_iter().map(|(_, n)| n).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn without_a_crowded_address_the_oldest_are_closed() {
        assert_eq!(victims(candidates(1_000, |n| n)), (0..32).collect::<Vec<u32>>());
    }

    #[test]
    fn a_connection_that_waits_for_us_is_closed_after_all_that_wait_for_their_clients() {
        let mut all = candidates(1_000, |n| n);
        all.iter_mut().take(500).for_each(|(candidate, _)| candidate.is_ready = true);
        assert_eq!(victims(all), (500..532).collect::<Vec<u32>>());
    }

    #[test]
    fn a_client_that_may_have_disconnected_goes_before_a_crowded_address() {
        let mut all = candidates(1_000, |n| if n < 500 { u32::MAX } else { n });
        all.iter_mut().skip(900).for_each(|(candidate, _)| candidate.is_half_closed = true);
        assert_eq!(victims(all), (900..932).collect::<Vec<u32>>());
    }

    #[test]
    fn an_address_with_few_connections_is_not_crowded() {
        let of_few = |n| if (500..550).contains(&n) { u32::MAX } else { n };
        assert_eq!(victims(candidates(1_000, of_few)), (0..32).collect::<Vec<u32>>());
    }

    #[test]
    fn the_oldest_of_a_crowded_address_go_before_all_others() {
        // Every tenth connection and the oldest of all have other addresses.
        let of_many = |n| if n % 10 == 0 { n } else { u32::MAX };
        let expected: Vec<u32> = (0..).filter(|n| n % 10 != 0).take(MIN_VICTIMS).collect();
        assert_eq!(victims(candidates(1_000, of_many)), expected);
    }

    #[test]
    fn a_part_of_many_connections_is_closed_and_half_of_a_few() {
        assert_eq!(victims(candidates(64_000, |n| n)).len(), 1_000);
        assert_eq!(victims(candidates(10, |n| n)), [0, 1, 2, 3, 4]);
        assert_eq!(victims(candidates(1, |n| n)), [0]);
        assert_eq!(victims(candidates(0, |n| n)).len(), 0);
    }
}
