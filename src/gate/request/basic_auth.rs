//! HTTP Basic authentication, with protection against guessing.
//!
//! All wrong credentials get the same response after the same time. One password is hashed at a time, so that guessing
//! never takes more than one core. Accepted credentials are remembered as a keyed digest in memory until the password
//! changes, so that only the first request pays for bcrypt; rejected ones, for as long as they count as a guess.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::failed_logins::FailedLogins;
use super::hash_queue::HashQueue;
use crate::gate::Error;
use crate::security::{PasswordHash, spelling};
use crate::util::client_prefix::client_prefix;

/// The only user name (M1-23, M2-16).
const USER: &[u8] = b"admin";

/// The password before one is set, with v2 (M2-14).
const DEFAULT_PASSWORD: &[u8] = b"admin";

/// The result of a check.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The credentials match; `first` if they had to be hashed, which is worth a line in the log.
    Accepted { first: bool },
    /// The credentials are wrong or missing.
    Rejected,
    /// Too many wrong passwords from this address: retry after so many seconds.
    RateLimited(u64),
    /// Too many passwords are being hashed.
    Busy,
}

/// The result of a check that hashes nothing.
#[must_use]
pub(crate) enum Check {
    Decided(Outcome),
    /// [`Authenticator::hash`] decides, on a thread that may block.
    MustHash(PendingLogin),
}

/// Credentials that only hashing can accept or reject.
pub(crate) struct PendingLogin {
    attempt: Attempt,
    hash: PasswordHash,
}

/// What credentials are compared with.
pub(crate) enum Expected<'a> {
    Default,
    Stored(&'a PasswordHash),
    /// No credentials match.
    Nothing,
}

/// Checks credentials, and remembers accepted and rejected ones.
pub(crate) struct Authenticator {
    /// The key of the digests, so that they are useless outside this process.
    pub(super) key: [u8; 32],
    accepted: Mutex<Option<[u8; 32]>>,
    pub(super) failed_logins: FailedLogins,
    hash_queue: HashQueue,
}

impl Authenticator {
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn new() -> Result<Authenticator, Error> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key)
            .map_err(|_| Error("cannot get random bytes from the system".to_owned()))?;
        Ok(Authenticator {
            key,
            accepted: Mutex::new(None),
            failed_logins: FailedLogins::default(),
            hash_queue: HashQueue::default(),
        })
    }

    /// Checks the value of an `Authorization` field from `peer`.
    pub(crate) fn check(
        &self,
        header: Option<&[u8]>,
        expected: &Expected<'_>,
        peer: IpAddr,
        now: Instant,
    ) -> Check {
        let Some(header) = header else { return Check::Decided(Outcome::Rejected) };
        let source = client_prefix(peer);
        if let Some(seconds) = self.failed_logins.retry_after(source, now) {
            return Check::Decided(Outcome::RateLimited(seconds));
        }
        let credentials = Credentials::read(encoded(header));
        let digest = self.digest(&credentials, expected);
        let attempt = Attempt { credentials, digest, source, at: now };
        Check::Decided(match expected {
            Expected::Default if attempt.credentials.matches(DEFAULT_PASSWORD) => {
                Outcome::Accepted { first: false }
            }
            Expected::Default | Expected::Nothing => self.reject(&attempt),
            Expected::Stored(hash) => match self.cached(&attempt) {
                Some(outcome) => outcome,
                None if self.has_room(&attempt) => {
                    return Check::MustHash(PendingLogin { attempt, hash: (*hash).clone() });
                }
                // Nearly all requests of a flood of guesses are rejected here, without a thread for each.
                None => Outcome::Busy,
            },
        })
    }

    /// Hashes the password of a login, which takes a good part of a second after those before it in the queue.
    pub(crate) fn hash(&self, login: &PendingLogin) -> Outcome {
        let PendingLogin { attempt, hash } = login;
        let Attempt { credentials, digest, source, .. } = attempt;
        let clean = self.failed_logins.is_clean(*source);
        let Some(_permit) = self.hash_queue.wait(*digest, *source, clean) else {
            return Outcome::Busy;
        };
        // Concurrent guesses have passed the first check before one of them failed.
        if let Some(seconds) = self.failed_logins.retry_after(*source, attempt.at) {
            return Outcome::RateLimited(seconds);
        }
        // A request before has used the same credentials, as the connections of one client do.
        if let Some(outcome) = self.cached(attempt) {
            return outcome;
        }
        // Hashed for any user name, so that the time tells nothing.
        let matches = hash.matches(&credentials.password)
            & credentials.well_formed
            & (credentials.user.as_slice() == USER);
        if !matches {
            return self.reject(attempt);
        }
        *lock(&self.accepted) = Some(*digest);
        Outcome::Accepted { first: true }
    }

    /// The outcome of the same credentials before, without hashing.
    fn cached(&self, attempt: &Attempt) -> Option<Outcome> {
        if self.was_accepted(&attempt.digest) {
            return Some(Outcome::Accepted { first: false });
        }
        let is_wrong = self.failed_logins.contains(attempt.source, &attempt.digest, attempt.at);
        is_wrong.then_some(Outcome::Rejected)
    }

    /// True if the queue has room for the credentials.
    fn has_room(&self, attempt: &Attempt) -> bool {
        let clean = self.failed_logins.is_clean(attempt.source);
        self.hash_queue.has_room(attempt.digest, attempt.source, clean)
    }

    fn reject(&self, attempt: &Attempt) -> Outcome {
        self.failed_logins.record(attempt.source, &attempt.digest, attempt.at);
        Outcome::Rejected
    }

    fn was_accepted(&self, digest: &[u8; 32]) -> bool {
        lock(&self.accepted).is_some_and(|known| verify_slices_are_equal(&known, digest).is_ok())
    }

    /// A digest that is the same for all spellings of the same credentials. Key and fingerprint have 32 bytes each,
    /// and no user name has a colon.
    fn digest(&self, credentials: &Credentials, expected: &Expected<'_>) -> [u8; 32] {
        let against = match expected {
            Expected::Stored(hash) => hash.fingerprint(),
            Expected::Default => &[0; 32],
            Expected::Nothing => &[1; 32],
        };
        let digest = Sha256::new().chain_update(self.key).chain_update(against);
        let digest = digest
            .chain_update([u8::from(credentials.well_formed)])
            .chain_update(&credentials.user);
        digest.chain_update(b":").chain_update(&credentials.password).finalize().into()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each critical section leaves the value valid at every step, so poisoning does not matter.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The value after `Basic`; empty for another scheme.
fn encoded(header: &[u8]) -> &[u8] {
    match header.split_at_checked(6) {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case(b"basic ") => encoded.trim_ascii(),
        _ => b"",
    }
}

/// Credentials of one request.
struct Attempt {
    credentials: Credentials,
    /// See [`Authenticator::digest`].
    digest: [u8; 32],
    source: IpAddr,
    at: Instant,
}

/// User name and password of RFC 7617, wiped when dropped, the password in its [`spelling`]; malformed ones are
/// compared like any other. Only canonical base64 is accepted: padded, and with zeros in the unused bits.
struct Credentials {
    user: Zeroizing<Vec<u8>>,
    password: Zeroizing<Vec<u8>>,
    well_formed: bool,
}

impl Credentials {
    fn read(encoded: &[u8]) -> Credentials {
        Credentials::parse(encoded).unwrap_or_else(|| Credentials {
            user: Zeroizing::default(),
            password: Zeroizing::new(encoded.to_vec()),
            well_formed: false,
        })
    }

    fn parse(encoded: &[u8]) -> Option<Credentials> {
        let decoded = Zeroizing::new(BASE64_STANDARD.decode(encoded).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (user, password) = decoded.split_at(colon);
        Some(Credentials {
            user: Zeroizing::new(user.to_vec()),
            password: Zeroizing::new(spelling(password.get(1..)?).as_bytes().to_vec()),
            well_formed: true,
        })
    }

    fn matches(&self, password: &[u8]) -> bool {
        self.well_formed
            & verify_slices_are_equal(&self.user, USER).is_ok()
            & verify_slices_are_equal(&self.password, password).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::{Authenticator, Check, Expected, Outcome};
    use crate::security::PasswordHash;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn basic(pair: &str) -> Vec<u8> {
        format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes()
    }

    /// The outcome, if it needs no hash.
    fn decided(check: &Check) -> Option<Outcome> {
        match check {
            Check::Decided(outcome) => Some(*outcome),
            Check::MustHash(_) => None,
        }
    }

    fn check(authenticator: &Authenticator, header: &[u8], peer: IpAddr, now: Instant) -> Outcome {
        decided(&authenticator.check(Some(header), &Expected::Default, peer, now)).unwrap()
    }

    #[test]
    fn only_admin_with_its_password_is_accepted() {
        let now = Instant::now();
        let outcome = |header: &[u8]| check(&Authenticator::new().unwrap(), header, HERE, now);
        assert_eq!(outcome(&basic("admin:admin")), Outcome::Accepted { first: false });
        assert_eq!(outcome(&basic("admin:admin").to_ascii_lowercase()[..6]), Outcome::Rejected);
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
            assert_eq!(outcome(&header), Outcome::Rejected, "{}", String::from_utf8_lossy(&header));
        }
    }

    /// A password file with the lowest cost.
    fn stored(password: &str) -> PasswordHash {
        let hash = bcrypt::hash_with_result(password, 4).unwrap();
        let line = format!("admin:{}", hash.format_for_version(bcrypt::Version::TwoY));
        PasswordHash::from_file(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_rejected_password_is_neither_counted_nor_hashed_again_until_the_password_changes() {
        let (authenticator, now, hash) =
            (Authenticator::new().unwrap(), Instant::now(), stored("gr\u{fc}n"));
        let check = |pair: &[u8], hash: &PasswordHash| {
            let header = [b"Basic ", BASE64_STANDARD.encode(pair).as_bytes()].concat();
            authenticator.check(Some(&header), &Expected::Stored(hash), HERE, now)
        };
        let hashed = |pair: &[u8], hash: &PasswordHash| match check(pair, hash) {
            Check::Decided(outcome) => panic!("{outcome:?} without hashing"),
            Check::MustHash(login) => authenticator.hash(&login),
        };
        let old = "admin:r\u{f6}t".as_bytes();
        assert_eq!(hashed(old, &hash), Outcome::Rejected);
        for spelt in [old, b"admin:r\xf6t", "admin:ro\u{308}t".as_bytes()].repeat(10) {
            assert_eq!(decided(&check(spelt, &hash)), Some(Outcome::Rejected));
        }
        for other in [b"root:r\xf6t".as_slice(), b"admin:r\xf6", b"r\xf6t", b"admin:gr\xfcn"] {
            assert_eq!(decided(&check(other, &hash)), None);
        }
        assert_eq!(hashed(b"admin:gr\xfcn", &hash), Outcome::Accepted { first: true });
        assert_eq!(
            decided(&check("admin:gru\u{308}n".as_bytes(), &hash)),
            Some(Outcome::Accepted { first: false })
        );

        let changed = stored("r\u{f6}t");
        assert_eq!(decided(&check(b"admin:gr\xfcn", &changed)), None);
        assert_eq!(hashed(old, &changed), Outcome::Accepted { first: true });
    }

    #[test]
    fn nothing_matches_a_damaged_password_file() {
        let authenticator = Authenticator::new().unwrap();
        let header = basic("admin:admin");
        let check = authenticator.check(Some(&header), &Expected::Nothing, HERE, Instant::now());
        assert_eq!(decided(&check), Some(Outcome::Rejected));
    }

    #[test]
    fn guessing_blocks_one_address_for_a_minute() {
        let (authenticator, start) = (Authenticator::new().unwrap(), Instant::now());
        for number in 0..=10 {
            let header = basic(&format!("admin:x{number}"));
            assert_eq!(check(&authenticator, &header, HERE, start), Outcome::Rejected);
        }
        assert!(matches!(
            check(&authenticator, &basic("admin:admin"), HERE, start),
            Outcome::RateLimited(1..=61)
        ));
        let elsewhere = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(
            check(&authenticator, &basic("admin:admin"), elsewhere, start),
            Outcome::Accepted { first: false }
        );
        let later = start + Duration::from_secs(61);
        assert_eq!(
            check(&authenticator, &basic("admin:admin"), HERE, later),
            Outcome::Accepted { first: false }
        );
    }

    #[test]
    fn requests_without_credentials_do_not_count_as_guesses() {
        let (authenticator, now) = (Authenticator::new().unwrap(), Instant::now());
        for _ in 0..100 {
            let check = authenticator.check(None, &Expected::Default, HERE, now);
            assert_eq!(decided(&check), Some(Outcome::Rejected));
        }
        assert_eq!(
            check(&authenticator, &basic("admin:admin"), HERE, now),
            Outcome::Accepted { first: false }
        );
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_count_as_one() {
        let (authenticator, now) = (Authenticator::new().unwrap(), Instant::now());
        for host in 0..=10_u128 {
            let peer = IpAddr::V6(std::net::Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + host));
            let header = basic(&format!("admin:x{host}"));
            assert_eq!(check(&authenticator, &header, peer, now), Outcome::Rejected);
        }
        let peer = "2001:db8::ffff".parse().unwrap();
        assert!(matches!(
            check(&authenticator, &basic("admin:admin"), peer, now),
            Outcome::RateLimited(_)
        ));
    }
}
