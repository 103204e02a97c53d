//! How many license codes that don't exist a client address may try, and what happens beyond that.
//!
//! A code has 14 random digits. Who guesses them wants a code that nobody has activated yet; who has one
//! already must never be kept out by the guesses of a stranger. So there are three stages, and a code that
//! exists is not a guess in any of them:
//!
//! 1. **Free**: ten wrong codes an hour from one address, which covers people who mistype. A wrong one is
//!    told as such.
//! 2. **Metered**: beyond them, a code that exists is answered as ever, and a wrong one with
//!    `too_many_tries`. It takes a token from the bucket of its address (60, one more every ten seconds) and
//!    one from the bucket that all such addresses share (600, one more a second).
//! 3. **Unread**: when one of the two is empty, the questions of devices that never held a seat of the
//!    license are answered with `too_many_tries`, whatever their code. Devices that held one are answered as
//!    ever.
//!
//! # Arithmetic
//!
//! There are 10^14 codes. Of 1,000,000 licenses a guess meets one with a probability of 10^-8, so a hit takes
//! 10^8 guesses on average. Without a limit, an authority that answers 1,000 questions a second would be
//! asked for them in 28 hours. With it:
//!
//! | who guesses | wrong codes a second | a hit among 1,000,000 licenses | among 10,000 |
//! | --- | --- | --- | --- |
//! | one address | 10 an hour + 0.1 | 31 years | 3,100 years |
//! | any number of addresses beyond their ten an hour | 1 | 3.2 years | 320 years |
//! | 10,000 addresses within their ten an hour | 28 | 41 days | 11 years |
//!
//! The last row is what no limit by address prevents; `license_authority_wrong_codes_total` shows it at once.
//! A code that was met is of use only if its license has a free seat, and its owner's `show` tells who took
//! it.
//!
//! Stage 3 for one address takes more than 70 wrong codes and then six a minute without a pause from that
//! very address, and for others nothing changes: the bucket that all share empties only when more than ten
//! addresses do that at once, and then for addresses beyond their ten alone. Behind a reverse proxy that
//! `--trusted-proxy` does not name, all clients are one address, which is why the log says so.
//!
//! Where machines share a store, each wrong code is counted there too, and whoever counts one learns what the others
//! have counted for that address: 64 addresses at most in each of 1,000 records, and the bucket of all in one of its
//! own. So a stranger who goes from machine to machine has one guess more on each than on one machine alone.
//!
//! An address is an IPv4 address or an IPv6 /48, the most that one site is given (RFC 6177): a /64 each would
//! give a site 65,536 times ten.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::Error;

use super::database::Database;

/// Wrong codes in [`WINDOW`] from one address that are told as such.
const FREE: u32 = 10;

/// Seconds for which an address is remembered after its first wrong code.
const WINDOW: i64 = 3_600;

/// The bucket of one address: its tokens, and the seconds in which it regains one.
const OF_ONE: (i64, i64) = (60, 10);

/// The bucket that all addresses share.
const OF_ALL: (i64, i64) = (600, 1);

/// Addresses that are remembered, which bounds the memory. Beyond that newcomers share one place.
const MAX_CLIENTS: usize = 50_000;

mod shared;

/// How a question from an address is to be treated; the stages of the module's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Free,
    Metered,
    Unread,
}

/// Wrong codes of the last hour, in memory only.
pub(crate) struct RateLimit(Mutex<Records>);

struct Records {
    clients: HashMap<IpAddr, Client>,
    all: Bucket,
}

#[derive(Clone)]
struct Client {
    /// Of the first wrong code, in seconds since 1970.
    since: i64,
    wrong: u32,
    bucket: Bucket,
}

/// Tokens that come back with time.
#[derive(Clone)]
struct Bucket {
    most: i64,
    /// Seconds in which one token comes back.
    pace: i64,
    left: i64,
    /// When `left` was right, in seconds since 1970.
    at: i64,
}

impl Bucket {
    fn new((most, pace): (i64, i64), now: i64) -> Bucket {
        Bucket { most, pace, left: most, at: now }
    }

    fn refill(&mut self, now: i64) {
        if now < self.at {
            self.at = now; // the clock was set back
        }
        let regained = (now - self.at) / self.pace;
        self.left = self.left.saturating_add(regained).min(self.most);
        self.at += regained * self.pace;
    }
}

impl Default for RateLimit {
    fn default() -> RateLimit {
        let all = Bucket::new(OF_ALL, 0);
        RateLimit(Mutex::new(Records { clients: HashMap::new(), all }))
    }
}

impl RateLimit {
    /// How a question from `source` is to be treated; `now` in seconds since 1970.
    pub(crate) fn stage(&self, source: IpAddr, now: i64) -> Stage {
        let mut records = self.records();
        let Records { clients, all } = &mut *records;
        let Some(client) = clients.get_mut(&client_of(source)) else { return Stage::Free };
        client.refresh(now);
        all.refill(now);
        match client.wrong {
            ..FREE => Stage::Free,
            _ if client.bucket.left > 0 && all.left > 0 => Stage::Metered,
            _ => Stage::Unread,
        }
    }

    /// Counts a code that no license has, asked from `source` and treated by `stage`. True for the first one
    /// beyond the ten, so that the log can tell once.
    ///
    /// # Errors
    /// When `database` is shared and can't be changed: then it is counted here alone.
    pub(crate) fn record(
        &self,
        source: IpAddr,
        stage: Stage,
        now: i64,
        database: &dyn Database,
    ) -> Result<bool, Error> {
        let source = client_of(source);
        let counted = self.records().count(source, stage, now);
        if !database.is_shared() {
            return Ok(counted == FREE + 1);
        }
        let client = shared::count(database, source, stage, now)?;
        let all = match stage {
            Stage::Metered => Some(shared::count_all(database, now)?),
            _ => None,
        };
        let mut records = self.records();
        let counted = client.wrong;
        if let Some(known) = records.clients.get_mut(&source) {
            *known = client;
        }
        records.all = all.unwrap_or(records.all.clone());
        Ok(counted == FREE + 1)
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    /// Counts a wrong code; how many those of its address are.
    fn count(&mut self, source: IpAddr, stage: Stage, now: i64) -> u32 {
        if stage == Stage::Metered {
            self.all.left -= 1;
        }
        let client = place(&mut self.clients, MAX_CLIENTS, source, now);
        client.count(stage, now);
        client.wrong
    }
}

/// The place of an address among at most `most`, or that which all share for whom there is none.
fn place(
    clients: &mut HashMap<IpAddr, Client>,
    most: usize,
    mut source: IpAddr,
    now: i64,
) -> &mut Client {
    if clients.len() >= most && !clients.contains_key(&source) {
        clients.retain(|_, client| !client.is_over(now));
        if clients.len() >= most {
            source = Ipv6Addr::UNSPECIFIED.into();
        }
    }
    let fresh = || Client { since: now, wrong: 0, bucket: Bucket::new(OF_ONE, now) };
    clients.entry(source).or_insert_with(fresh)
}

impl Client {
    fn count(&mut self, stage: Stage, now: i64) {
        self.refresh(now);
        self.wrong = self.wrong.saturating_add(1);
        if stage == Stage::Metered {
            self.bucket.left -= 1;
        }
    }

    fn refresh(&mut self, now: i64) {
        if !(0..WINDOW).contains(&(now - self.since)) {
            (self.since, self.wrong) = (now, 0);
        }
        self.bucket.refill(now);
    }

    /// True if forgetting it changes nothing.
    fn is_over(&mut self, now: i64) -> bool {
        self.bucket.refill(now);
        now - self.since >= WINDOW && self.bucket.left == self.bucket.most
    }
}

/// The address by which guesses are counted.
fn client_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 80 << 80)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
