//! Who has guessed wrong lately, and what.
//!
//! The same wrong guess again tells a guesser nothing, so only different ones count: a forgotten program
//! with an old password does not keep out others at its address. It is not hashed again either. That it is
//! refused more quickly then tells those who share an address no more than that: it has been tried and is
//! wrong. To ask so costs a guess where it has not.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::gate::limits;

/// Wrong guesses by where they came from.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<HashMap<IpAddr, Vec<Guess>>>);

struct Guess {
    at: Instant,
    mark: Mark,
}

/// Of a guess and the password that it was compared with, under a key that nobody has: a piece of the digest.
/// It says nothing of either, and means nothing once the password has changed.
type Mark = [u8; 8];

impl Guesses {
    /// Seconds until who is at `source` may try again, if there have been too many.
    pub(crate) fn must_wait(&self, source: IpAddr, now: Instant) -> Option<u64> {
        let mut all = self.all();
        let guesses = all.get_mut(&source)?;
        guesses.retain(|guess| guess.is_recent(now));
        let oldest = guesses.first()?;
        (guesses.len() > limits::GUESSES).then(|| {
            let passed = now.saturating_duration_since(oldest.at);
            limits::GUESS_WINDOW.saturating_sub(passed).as_secs() + 1
        })
    }

    /// True if the guess of `digest` has been found wrong.
    pub(crate) fn has(&self, source: IpAddr, digest: &[u8; 32], now: Instant) -> bool {
        let is_it = |guess: &Guess| guess.mark == mark(digest) && guess.is_recent(now);
        self.all().get(&source).is_some_and(|guesses| guesses.iter().any(is_it))
    }

    /// The guess of `digest` is wrong.
    pub(crate) fn note(&self, source: IpAddr, digest: &[u8; 32], now: Instant) {
        let mut all = self.all();
        if all.len() >= limits::GUESSERS && !all.contains_key(&source) {
            all.retain(|_, guesses| guesses.last().is_some_and(|guess| guess.is_recent(now)));
            if all.len() >= limits::GUESSERS {
                all.clear(); // an attack from that many addresses is not slowed by a list
            }
        }
        let guesses = all.entry(source).or_default();
        let mark = mark(digest);
        guesses.retain(|guess| guess.is_recent(now));
        // One more than is allowed makes the rest wait; beyond that there is nothing to remember.
        if guesses.len() <= limits::GUESSES && guesses.iter().all(|guess| guess.mark != mark) {
            guesses.push(Guess { at: now, mark });
        }
    }

    /// True if nothing wrong has come from `source` lately, as far as it was looked at.
    pub(crate) fn is_clean(&self, source: IpAddr) -> bool {
        self.all().get(&source).is_none_or(Vec::is_empty)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, Vec<Guess>>> {
        // Each critical section leaves the value whole at every step, so poison carries no news.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guess {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < limits::GUESS_WINDOW
    }
}

fn mark(digest: &[u8; 32]) -> Mark {
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use super::{Guesses, limits};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_guess_is_remembered_for_a_minute_and_counts_once() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        for second in 0..50 {
            let now = start + Duration::from_secs(second);
            guesses.note(HERE, &[1; 32], now);
            assert!(guesses.has(HERE, &[1; 32], now) && !guesses.has(HERE, &[2; 32], now));
            assert_eq!(guesses.must_wait(HERE, now), None);
        }
        let later = start + limits::GUESS_WINDOW;
        assert!(!guesses.has(HERE, &[1; 32], later));
        assert_eq!(guesses.must_wait(HERE, later), None);
        assert!(guesses.is_clean(HERE));
    }

    #[test]
    fn what_is_remembered_of_one_address_has_an_end() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for number in 0..=u8::MAX {
            guesses.note(HERE, &[number; 32], now);
        }
        let held = guesses.all().get(&HERE).map(Vec::len);
        assert_eq!(held, Some(limits::GUESSES + 1));
        assert!(guesses.must_wait(HERE, now).is_some());
    }
}
