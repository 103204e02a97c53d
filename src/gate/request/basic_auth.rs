//! Basic credentials: read, compared, and guessing made slow.
//!
//! Whatever is wrong with them, the answer and the time it takes are the same. One password is hashed
//! at a time, so that guessing never takes more than one core; one that fitted is remembered as a keyed
//! digest in memory until the password changes, so that only the first request pays for bcrypt; one that did
//! not, for as long as it counts as a guess.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::failed_logins::Guesses;
use super::hash_queue::HashQueue;
use crate::gate::limits::client_prefix::source;
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
pub(crate) struct Authenticator {
    /// Keys the digests, so that they mean nothing outside this process.
    key: [u8; 32],
    fitted: Mutex<Option<[u8; 32]>>,
    guesses: Guesses,
    turns: HashQueue,
}

impl Authenticator {
    /// # Errors
    /// When the system has no random bytes to give.
    pub(crate) fn new() -> Result<Authenticator, String> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key)
            .map_err(|_| "cannot get random bytes from the system".to_owned())?;
        Ok(Authenticator {
            key,
            fitted: Mutex::new(None),
            guesses: Guesses::default(),
            turns: HashQueue::default(),
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
        if let Some(seconds) = self.guesses.must_wait(source, now) {
            return Outcome::Wait(seconds);
        }
        let pair = Pair::read(encoded(header));
        let digest = self.digest(&pair, expected);
        let attempt = Attempt { pair, digest, source, at: now };
        match expected {
            Expected::Default if attempt.pair.fits(DEFAULT_PASSWORD) => {
                Outcome::Fit { first: false }
            }
            Expected::Default | Expected::Nobody => self.refuse(&attempt),
            Expected::Stored(hash) => self.check_stored(&attempt, hash, may_hash),
        }
    }

    fn check_stored(&self, attempt: &Attempt, hash: &PasswordHash, may_hash: bool) -> Outcome {
        let Attempt { pair, digest, source, .. } = attempt;
        if let Some(outcome) = self.known(attempt) {
            return outcome;
        }
        let clean = self.guesses.is_clean(*source);
        if !may_hash {
            // Of a flood of guesses nearly all are turned away here, without a thread for each.
            let room = self.turns.has_room(*digest, *source, clean);
            return if room { Outcome::MustHash } else { Outcome::Busy };
        }
        let Some(_turn) = self.turns.wait(*digest, *source, clean) else { return Outcome::Busy };
        // Guesses sent all at once were let through before the first of them had failed.
        if let Some(seconds) = self.guesses.must_wait(*source, attempt.at) {
            return Outcome::Wait(seconds);
        }
        // Somebody before has asked with the same: a client's many connections after a start.
        if let Some(outcome) = self.known(attempt) {
            return outcome;
        }
        // Hashed whatever the user name is, so that the time tells nothing.
        let fits = hash.matches(&pair.password) & pair.well_formed & (pair.user.as_slice() == USER);
        if !fits {
            return self.refuse(attempt);
        }
        *lock(&self.fitted) = Some(*digest);
        Outcome::Fit { first: true }
    }

    /// What came of the same before, without hashing.
    fn known(&self, attempt: &Attempt) -> Option<Outcome> {
        if self.has_fitted(&attempt.digest) {
            return Some(Outcome::Fit { first: false });
        }
        let is_wrong = self.guesses.has(attempt.source, &attempt.digest, attempt.at);
        is_wrong.then_some(Outcome::Refused)
    }

    fn refuse(&self, attempt: &Attempt) -> Outcome {
        self.guesses.note(attempt.source, &attempt.digest, attempt.at);
        Outcome::Refused
    }

    fn has_fitted(&self, digest: &[u8; 32]) -> bool {
        lock(&self.fitted).is_some_and(|known| verify_slices_are_equal(&known, digest).is_ok())
    }

    /// Of the same credentials, however spelt, one. Key and fingerprint have 32 bytes each, and no user has
    /// a colon.
    fn digest(&self, pair: &Pair, expected: &Expected<'_>) -> [u8; 32] {
        let against = match expected {
            Expected::Stored(hash) => hash.fingerprint(),
            Expected::Default => &[0; 32],
            Expected::Nobody => &[1; 32],
        };
        let digest = Sha256::new().chain_update(self.key).chain_update(against);
        let digest = digest.chain_update([u8::from(pair.well_formed)]).chain_update(&pair.user);
        digest.chain_update(b":").chain_update(&pair.password).finalize().into()
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

/// Credentials that somebody has sent.
struct Attempt {
    pair: Pair,
    /// Of these, compared with what is in force.
    digest: [u8; 32],
    source: IpAddr,
    at: Instant,
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

    use super::{Authenticator, Expected, Outcome};
    use crate::security::PasswordHash;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn basic(pair: &str) -> Vec<u8> {
        format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes()
    }

    fn check(guard: &Authenticator, header: &[u8], peer: IpAddr, now: Instant) -> Outcome {
        guard.check(Some(header), &Expected::Default, peer, now, true)
    }

    #[test]
    fn only_admin_with_its_password_fits() {
        let now = Instant::now();
        let fits = |header: &[u8]| check(&Authenticator::new().unwrap(), header, HERE, now);
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

    /// A password file of the least cost.
    fn stored(password: &str) -> PasswordHash {
        let hash = bcrypt::hash_with_result(password, 4).unwrap();
        let line = format!("admin:{}", hash.format_for_version(bcrypt::Version::TwoY));
        PasswordHash::from_file(line.as_bytes()).unwrap()
    }

    #[test]
    fn what_was_found_wrong_is_neither_counted_nor_hashed_again_until_the_password_changes() {
        let (guard, now, hash) =
            (Authenticator::new().unwrap(), Instant::now(), stored("gr\u{fc}n"));
        let check = |pair: &[u8], hash: &PasswordHash, may_hash| {
            let header = [b"Basic ", BASE64_STANDARD.encode(pair).as_bytes()].concat();
            guard.check(Some(&header), &Expected::Stored(hash), HERE, now, may_hash)
        };
        let old = "admin:r\u{f6}t".as_bytes();
        assert_eq!(check(old, &hash, false), Outcome::MustHash);
        assert_eq!(check(old, &hash, true), Outcome::Refused);
        for spelt in [old, b"admin:r\xf6t", "admin:ro\u{308}t".as_bytes()].repeat(10) {
            assert_eq!(check(spelt, &hash, false), Outcome::Refused);
        }
        for other in [b"root:r\xf6t".as_slice(), b"admin:r\xf6", b"r\xf6t", b"admin:gr\xfcn"] {
            assert_eq!(check(other, &hash, false), Outcome::MustHash);
        }
        assert_eq!(check(b"admin:gr\xfcn", &hash, true), Outcome::Fit { first: true });
        assert_eq!(
            check("admin:gru\u{308}n".as_bytes(), &hash, false),
            Outcome::Fit { first: false }
        );

        let changed = stored("r\u{f6}t");
        assert_eq!(check(b"admin:gr\xfcn", &changed, false), Outcome::MustHash);
        assert_eq!(check(old, &changed, true), Outcome::Fit { first: true });
    }

    #[test]
    fn nobody_fits_a_damaged_password_file() {
        let outcome = Authenticator::new().unwrap().check(
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
        let (guard, start) = (Authenticator::new().unwrap(), Instant::now());
        for guess in 0..=10 {
            let guess = basic(&format!("admin:x{guess}"));
            assert_eq!(check(&guard, &guess, HERE, start), Outcome::Refused);
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
        let (guard, now) = (Authenticator::new().unwrap(), Instant::now());
        for _ in 0..100 {
            assert_eq!(guard.check(None, &Expected::Default, HERE, now, true), Outcome::Refused);
        }
        assert_eq!(check(&guard, &basic("admin:admin"), HERE, now), Outcome::Fit { first: false });
    }

    #[test]
    fn a_guesser_with_a_whole_network_is_one_guesser() {
        let (guard, now) = (Authenticator::new().unwrap(), Instant::now());
        for host in 0..=10_u128 {
            let peer = IpAddr::V6(std::net::Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + host));
            let guess = basic(&format!("admin:x{host}"));
            assert_eq!(check(&guard, &guess, peer, now), Outcome::Refused);
        }
        let peer = "2001:db8::ffff".parse().unwrap();
        assert!(matches!(check(&guard, &basic("admin:admin"), peer, now), Outcome::Wait(_)));
    }
}
