//! Basic credentials: read, compared, and guessing made slow.
//!
//! Whatever is wrong with them, the answer and the time it takes are the same. One password is hashed
//! at a time, so that guessing never takes more than one core; one that fitted is remembered as a keyed
//! digest in memory until the password changes, so that only the first request pays for bcrypt.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::limits;
use super::source::source;
use super::turns::Turns;
use crate::security::{PasswordHash, spelling};

/// The only user there is (both manuals: "the username for basic auth is always admin").
const USER: &[u8] = b"admin";

/// The password before one is set (v2 manual: "both set to admin").
const DEFAULT_PASSWORD: &[u8] = b"admin";

/// What came of a check.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They fit; `first` if they had to be hashed, which is worth a line in the log.
    Fit { first: bool },
    /// They don't, or there are none.
    Refused,
    /// Too many wrong ones from this address: come back after so many seconds.
    Wait(u64),
    /// Too many are being hashed right now.
    Busy,
    /// They have to be hashed, for which the caller has no time.
    MustHash,
}

/// What credentials are compared with.
pub(crate) enum Expected<'a> {
    Default,
    Stored(&'a PasswordHash),
    Nobody,
}

/// The memory of the check: who guessed wrong, and what fitted.
pub(crate) struct Guard {
    /// Keys the digest of what fitted, so that it means nothing outside this process.
    key: [u8; 32],
    fitted: Mutex<Option<[u8; 32]>>,
    failures: Mutex<HashMap<IpAddr, Vec<Instant>>>,
    turns: Turns,
}

impl Guard {
    /// # Errors
    /// When the system has no random bytes to give.
    pub(crate) fn new() -> Result<Guard, String> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key)
            .map_err(|_| "cannot get random bytes from the system".to_owned())?;
        Ok(Guard {
            key,
            fitted: Mutex::new(None),
            failures: Mutex::new(HashMap::new()),
            turns: Turns::default(),
        })
    }

    /// Checks the value of an `Authorization` field sent from `peer`. Hashing takes a good part of a
    /// second, and others' turns before.
    pub(crate) fn check(
        &self,
        header: Option<&[u8]>,
        expected: &Expected<'_>,
        peer: IpAddr,
        now: Instant,
        may_hash: bool,
    ) -> Outcome {
        let Some(header) = header else { return Outcome::Refused };
        let source = source(peer);
        if let Some(seconds) = self.must_wait(source, now) {
            return Outcome::Wait(seconds);
        }
        let pair = Pair::read(encoded(header));
        let outcome = match expected {
            Expected::Default if pair.fits(DEFAULT_PASSWORD) => Outcome::Fit { first: false },
            Expected::Default | Expected::Nobody => Outcome::Refused,
            Expected::Stored(hash) => self.check_stored(&pair, hash, source, now, may_hash),
        };
        if outcome == Outcome::Refused {
            self.note_failure(source, now);
        }
        outcome
    }

    fn check_stored(
        &self,
        pair: &Pair,
        hash: &PasswordHash,
        source: IpAddr,
        now: Instant,
        may_hash: bool,
    ) -> Outcome {
        let digest = self.digest(pair, hash);
        if self.has_fitted(&digest) {
            return Outcome::Fit { first: false };
        }
        let clean = lock(&self.failures).get(&source).is_none_or(Vec::is_empty);
        if !may_hash {
            // Of a flood of guesses nearly all are turned away here, without a thread for each.
            let room = self.turns.has_room(digest, source, clean);
            return if room { Outcome::MustHash } else { Outcome::Busy };
        }
        let Some(turn) = self.turns.wait(digest, source, clean) else { return Outcome::Busy };
        // Somebody before has asked with the same: a client's many connections after a start.
        if self.has_fitted(&digest) {
            return Outcome::Fit { first: false };
        }
        // Guesses sent all at once were let through before the first of them had failed.
        if let Some(seconds) = self.must_wait(source, now) {
            return Outcome::Wait(seconds);
        }
        // Hashed whatever the user name is, so that the time tells nothing.
        let fits = hash.matches(&pair.password) & pair.well_formed & (pair.user.as_slice() == USER);
        if fits {
            *lock(&self.fitted) = Some(digest);
        }
        drop(turn);
        if fits { Outcome::Fit { first: true } } else { Outcome::Refused }
    }

    fn has_fitted(&self, digest: &[u8; 32]) -> bool {
        lock(&self.fitted).is_some_and(|known| verify_slices_are_equal(&known, digest).is_ok())
    }

    /// Of the same credentials, however spelt, one. Key and fingerprint have 32 bytes each, and no user has
    /// a colon.
    fn digest(&self, pair: &Pair, hash: &PasswordHash) -> [u8; 32] {
        let digest = Sha256::new().chain_update(self.key).chain_update(hash.fingerprint());
        let digest = digest.chain_update([u8::from(pair.well_formed)]).chain_update(&pair.user);
        digest.chain_update(b":").chain_update(&pair.password).finalize().into()
    }

    fn must_wait(&self, source: IpAddr, now: Instant) -> Option<u64> {
        let mut failures = lock(&self.failures);
        let times = failures.get_mut(&source)?;
        times.retain(|time| now.saturating_duration_since(*time) < limits::GUESS_WINDOW);
        let oldest = *times.first()?;
        (times.len() > limits::GUESSES).then(|| {
            let passed = now.saturating_duration_since(oldest);
            limits::GUESS_WINDOW.saturating_sub(passed).as_secs() + 1
        })
    }

    fn note_failure(&self, source: IpAddr, now: Instant) {
        let mut failures = lock(&self.failures);
        if failures.len() >= limits::GUESSERS && !failures.contains_key(&source) {
            let recent = |t: &Instant| now.saturating_duration_since(*t) < limits::GUESS_WINDOW;
            failures.retain(|_, times| times.last().is_some_and(recent));
            if failures.len() >= limits::GUESSERS {
                failures.clear(); // an attack from that many addresses is not slowed by a list
            }
        }
        failures.entry(source).or_default().push(now);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each critical section leaves the value whole at every step, so poison carries no news.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands behind `Basic`; nothing in a field of another scheme.
fn encoded(header: &[u8]) -> &[u8] {
    match header.split_at_checked(6) {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case(b"basic ") => encoded.trim_ascii(),
        _ => b"",
    }
}

/// User and password of RFC 7617, wiped when dropped, the password in its [`spelling`]; malformed ones are
/// compared like any other. Only the one base64 that an encoder makes of them is taken: padded, and with
/// nothing in the bits left over.
struct Pair {
    user: Zeroizing<Vec<u8>>,
    password: Zeroizing<Vec<u8>>,
    well_formed: bool,
}

impl Pair {
    fn read(encoded: &[u8]) -> Pair {
        Pair::parse(encoded).unwrap_or_else(|| Pair {
            user: Zeroizing::default(),
            password: Zeroizing::new(encoded.to_vec()),
            well_formed: false,
        })
    }

    fn parse(encoded: &[u8]) -> Option<Pair> {
        let decoded = Zeroizing::new(BASE64_STANDARD.decode(encoded).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (user, password) = decoded.split_at(colon);
        Some(Pair {
            user: Zeroizing::new(user.to_vec()),
            password: Zeroizing::new(spelling(password.get(1..)?).as_bytes().to_vec()),
            well_formed: true,
        })
    }

    fn fits(&self, password: &[u8]) -> bool {
        self.well_formed
            & verify_slices_are_equal(&self.user, USER).is_ok()
            & verify_slices_are_equal(&self.password, password).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::{Expected, Guard, Outcome};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn basic(pair: &str) -> Vec<u8> {
        format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes()
    }

    fn check(guard: &Guard, header: &[u8], peer: IpAddr, now: Instant) -> Outcome {
        guard.check(Some(header), &Expected::Default, peer, now, true)
    }

    #[test]
    fn only_admin_with_its_password_fits() {
        let now = Instant::now();
        let fits = |header: &[u8]| check(&Guard::new().unwrap(), header, HERE, now);
        assert_eq!(fits(&basic("admin:admin")), Outcome::Fit { first: false });
        assert_eq!(fits(&basic("admin:admin").to_ascii_lowercase()[..6]), Outcome::Refused);
        for header in [
            basic("admin:"),
            basic("admin"),
            basic("Admin:admin"),
            basic("root:admin"),
            basic("admin:admin2"),
            basic(":"),
            b"Basic !!!".to_vec(),
            b"Basic YWRtaW46YWRtaW4".to_vec(),  // not padded
            b"Basic YWRtaW46YWRtaW5=".to_vec(), // a bit left over
            b"Basic".to_vec(),
            b"".to_vec(),
            b"Bearer YWRtaW46YWRtaW4=".to_vec(),
        ] {
            assert_eq!(fits(&header), Outcome::Refused, "{}", String::from_utf8_lossy(&header));
        }
    }

    #[test]
    fn nobody_fits_a_damaged_password_file() {
        let outcome = Guard::new().unwrap().check(
            Some(&basic("admin:admin")),
            &Expected::Nobody,
            HERE,
            Instant::now(),
            true,
        );
        assert_eq!(outcome, Outcome::Refused);
    }

    #[test]
    fn guessing_from_one_address_stops_it_alone_and_for_a_minute() {
        let (guard, start) = (Guard::new().unwrap(), Instant::now());
        for _ in 0..=10 {
            assert_eq!(check(&guard, &basic("admin:x"), HERE, start), Outcome::Refused);
        }
        assert!(matches!(check(&guard, &basic("admin:admin"), HERE, start), Outcome::Wait(1..=61)));
        let elsewhere = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(
            check(&guard, &basic("admin:admin"), elsewhere, start),
            Outcome::Fit { first: false }
        );
        let later = start + Duration::from_secs(61);
        assert_eq!(
            check(&guard, &basic("admin:admin"), HERE, later),
            Outcome::Fit { first: false }
        );
    }

    #[test]
    fn requests_without_credentials_are_no_guesses() {
        let (guard, now) = (Guard::new().unwrap(), Instant::now());
        for _ in 0..100 {
            assert_eq!(guard.check(None, &Expected::Default, HERE, now, true), Outcome::Refused);
        }
        assert_eq!(check(&guard, &basic("admin:admin"), HERE, now), Outcome::Fit { first: false });
    }

    #[test]
    fn a_guesser_with_a_whole_network_is_one_guesser() {
        let (guard, now) = (Guard::new().unwrap(), Instant::now());
        for host in 0..=10_u128 {
            let peer = IpAddr::V6(std::net::Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + host));
            assert_eq!(check(&guard, &basic("admin:x"), peer, now), Outcome::Refused);
        }
        let peer = "2001:db8::ffff".parse().unwrap();
        assert!(matches!(check(&guard, &basic("admin:admin"), peer, now), Outcome::Wait(_)));
    }
}
