//! Recent wrong passwords by address.
//!
//! Only different wrong passwords count, because a repeated one tells an attacker nothing: a forgotten program with an
//! old password does not lock out others at its address. A repeated one is not hashed again either. Its quicker
//! rejection tells clients of the same address only that it has been tried and is wrong; testing a password that has
//! not been tried counts as a guess.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::basic_auth::Outcome;
use super::parse::ParsedRequest;
use crate::gate::{Gate, limits};
use crate::metrics::LoginFailure;

impl Gate {
    /// Counts the credentials of a request, if they did not let it in.
    pub(crate) fn count_failed_login(&self, request: &ParsedRequest, outcome: Outcome) {
        let failure = match outcome {
            Outcome::Rejected if request.login().is_some() => LoginFailure::WrongPassword,
            Outcome::RateLimited(_) => LoginFailure::RateLimited,
            Outcome::Busy => LoginFailure::Busy,
            Outcome::Accepted { .. } | Outcome::Rejected => return,
        };
        self.metrics.failed_login(failure);
    }
}

/// Wrong passwords by client prefix.
#[derive(Default)]
pub(crate) struct FailedLogins(Mutex<HashMap<IpAddr, Vec<Failure>>>);

struct Failure {
    at: Instant,
    tag: Tag,
}

/// A part of the keyed digest of the credentials and the stored password. It reveals neither, and matches nothing once
/// the password has changed.
type Tag = [u8; 8];

impl FailedLogins {
    /// Seconds until `source` may try again, if it has sent too many wrong passwords.
    pub(crate) fn retry_after(&self, source: IpAddr, now: Instant) -> Option<u64> {
        let mut all = self.all();
        let failures = all.get_mut(&source)?;
        failures.retain(|failure| failure.is_recent(now));
        let oldest = failures.first()?;
        (failures.len() > limits::WRONG_PASSWORDS).then(|| {
            let passed = now.saturating_duration_since(oldest.at);
            limits::WRONG_PASSWORD_WINDOW.saturating_sub(passed).as_secs() + 1
        })
    }

    /// True if the credentials of `digest` are known to be wrong.
    pub(crate) fn contains(&self, source: IpAddr, digest: &[u8; 32], now: Instant) -> bool {
        let is_it = |failure: &Failure| failure.tag == tag(digest) && failure.is_recent(now);
        self.all().get(&source).is_some_and(|failures| failures.iter().any(is_it))
    }

    /// Records that the credentials of `digest` are wrong.
    pub(crate) fn record(&self, source: IpAddr, digest: &[u8; 32], now: Instant) {
        let mut all = self.all();
        if all.len() >= limits::TRACKED_ADDRESSES && !all.contains_key(&source) {
            all.retain(|_, failures| failures.last().is_some_and(|failure| failure.is_recent(now)));
            if all.len() >= limits::TRACKED_ADDRESSES {
                all.clear(); // a list does not slow an attack from that many addresses
            }
        }
        let failures = all.entry(source).or_default();
        let tag = tag(digest);
        failures.retain(|failure| failure.is_recent(now));
        // One more than allowed makes the address wait, so more need not be remembered.
        if failures.len() <= limits::WRONG_PASSWORDS
            && failures.iter().all(|failure| failure.tag != tag)
        {
            failures.push(Failure { at: now, tag });
        }
    }

    /// True if no recent wrong password of `source` is recorded.
    pub(crate) fn is_clean(&self, source: IpAddr) -> bool {
        self.all().get(&source).is_none_or(Vec::is_empty)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, Vec<Failure>>> {
        // Each critical section leaves the value valid at every step, so poisoning does not matter.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < limits::WRONG_PASSWORD_WINDOW
    }
}

fn tag(digest: &[u8; 32]) -> Tag {
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use super::{FailedLogins, limits};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_wrong_password_is_remembered_for_a_minute_and_counts_once() {
        let (failed_logins, start) = (FailedLogins::default(), Instant::now());
        for second in 0..50 {
            let now = start + Duration::from_secs(second);
            failed_logins.record(HERE, &[1; 32], now);
            assert!(
                failed_logins.contains(HERE, &[1; 32], now)
                    && !failed_logins.contains(HERE, &[2; 32], now)
            );
            assert_eq!(failed_logins.retry_after(HERE, now), None);
        }
        let later = start + limits::WRONG_PASSWORD_WINDOW;
        assert!(!failed_logins.contains(HERE, &[1; 32], later));
        assert_eq!(failed_logins.retry_after(HERE, later), None);
        assert!(failed_logins.is_clean(HERE));
    }

    #[test]
    fn the_memory_of_one_address_is_limited() {
        let (failed_logins, now) = (FailedLogins::default(), Instant::now());
        for number in 0..=u8::MAX {
            failed_logins.record(HERE, &[number; 32], now);
        }
        let held = failed_logins.all().get(&HERE).map(Vec::len);
        assert_eq!(held, Some(limits::WRONG_PASSWORDS + 1));
        assert!(failed_logins.retry_after(HERE, now).is_some());
    }
}
