//! How often somebody may try a code that does not exist.
//!
//! A code has 14 random digits; the limit makes guessing hopeless from one place, and counts per place
//! and customer, so that nobody can lock out the appliances of another one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Wrong codes per hour, from one place, for one customer.
const MOST: usize = 10;

/// Seconds.
const HOUR: i64 = 3_600;

/// Places that are remembered; more than that are forgotten all at once rather than use up memory.
const MOST_PLACES: usize = 50_000;

/// Wrong codes of the last hour, in memory only.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<HashMap<(IpAddr, String), Vec<i64>>>);

impl Guesses {
    /// Whether `source` has had its tries for the customer of `code`.
    pub(crate) fn exhausted(&self, source: IpAddr, code: &str, now: i64) -> bool {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&place(source, code)).is_some_and(|times| recent(times, now) >= MOST)
    }

    /// Counts a wrong code.
    pub(crate) fn count(&self, source: IpAddr, code: &str, now: i64) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST_PLACES {
            places.retain(|_, times| recent(times, now) > 0);
            if places.len() >= MOST_PLACES {
                places.clear();
            }
        }
        let times = places.entry(place(source, code)).or_default();
        times.retain(|time| now - time < HOUR);
        times.push(now);
    }
}

fn recent(times: &[i64], now: i64) -> usize {
    times.iter().filter(|time| now - **time < HOUR).count()
}

/// A whole /64 is one place: that is what one customer line of IPv6 is.
fn place(source: IpAddr, code: &str) -> (IpAddr, String) {
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

    use super::{Guesses, HOUR, MOST};

    #[test]
    fn ten_wrong_codes_an_hour_from_one_place_for_one_customer() {
        let guesses = Guesses::default();
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for second in 0..10 {
            assert!(!guesses.exhausted(here, "4949", second));
            guesses.count(here, "494900000000000000", second);
        }
        assert_eq!(MOST, 10);
        assert!(guesses.exhausted(here, "4949", 9));
        assert!(!guesses.exhausted(there, "4949", 9) && !guesses.exhausted(here, "4948", 9));
        assert!(!guesses.exhausted(here, "4949", HOUR), "the first one is an hour ago");
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_place() {
        let guesses = Guesses::default();
        for last in 0..10 {
            guesses.count(format!("2001:db8::{last}").parse().unwrap(), "4949", 0);
        }
        assert!(guesses.exhausted("2001:db8::ffff".parse().unwrap(), "4949", 0));
        assert!(!guesses.exhausted("2001:db8:0:1::1".parse().unwrap(), "4949", 0));
    }
}
