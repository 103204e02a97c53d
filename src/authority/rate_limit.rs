//! How many unknown license codes a client address may try.
//!
//! A code has 14 random digits; the limit makes guessing from one address hopeless. It counts per address
//! and customer, so that guesses can't lock out the appliances of another customer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Wrong codes per hour, from one address, for one customer.
const MAX_WRONG_CODES: usize = 10;

/// Seconds.
const HOUR: i64 = 3_600;

/// Addresses that are remembered. Beyond that all are forgotten at once, which bounds the memory.
const MAX_CLIENTS: usize = 50_000;

/// Wrong codes of the last hour, in memory only.
#[derive(Default)]
pub(crate) struct RateLimit(Mutex<HashMap<(IpAddr, String), Vec<i64>>>);

impl RateLimit {
    /// Whether `source` has used up its tries for the customer of `code`.
    pub(crate) fn is_exceeded(&self, source: IpAddr, code: &str, now: i64) -> bool {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .get(&client(source, code))
            .is_some_and(|times| recent(times, now) >= MAX_WRONG_CODES)
    }

    /// Counts a wrong code.
    pub(crate) fn record(&self, source: IpAddr, code: &str, now: i64) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.retain(|_, times| recent(times, now) > 0);
            if clients.len() >= MAX_CLIENTS {
                clients.clear();
            }
        }
        let times = clients.entry(client(source, code)).or_default();
        times.retain(|time| now - time < HOUR);
        times.push(now);
    }
}

fn recent(times: &[i64], now: i64) -> usize {
    times.iter().filter(|time| now - **time < HOUR).count()
}

/// The key of a client. An IPv6 /64 counts as one address, because one subscriber line has a /64.
fn client(source: IpAddr, code: &str) -> (IpAddr, String) {
    let source = match source.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> 64 << 64;
            IpAddr::V6(bits.into())
        }
        v4 => v4,
    };
    (source, code.get(..4).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{HOUR, MAX_WRONG_CODES, RateLimit};

    #[test]
    fn ten_wrong_codes_an_hour_from_one_place_for_one_customer() {
        let limit = RateLimit::default();
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for second in 0..10 {
            assert!(!limit.is_exceeded(here, "4949", second));
            limit.record(here, "494900000000000000", second);
        }
        assert_eq!(MAX_WRONG_CODES, 10);
        assert!(limit.is_exceeded(here, "4949", 9));
        assert!(!limit.is_exceeded(there, "4949", 9) && !limit.is_exceeded(here, "4948", 9));
        assert!(!limit.is_exceeded(here, "4949", HOUR), "the first one is an hour ago");
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_place() {
        let limit = RateLimit::default();
        for last in 0..10 {
            limit.record(format!("2001:db8::{last}").parse().unwrap(), "4949", 0);
        }
        assert!(limit.is_exceeded("2001:db8::ffff".parse().unwrap(), "4949", 0));
        assert!(!limit.is_exceeded("2001:db8:0:1::1".parse().unwrap(), "4949", 0));
    }
}
