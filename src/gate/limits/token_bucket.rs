//! Which connections have low priority: a token bucket separates an exchange that has moved little lately from one
//! that moves all it can, so that a small request never waits behind a gigabyte, behind bytes that come one by
//! one, or behind password guessing.

use std::time::Instant;

/// Bytes in a full bucket, and bytes that are added in a second. Live audio stays below: 48,000 samples of four
/// bytes are 192,000.
const CAPACITY: u64 = 256 << 10;

/// The least cost of a piece of a body, and the cost of a piece of an incomplete head: both cost as much work as
/// so many bytes. A client may send 32 pieces of a body or four of a head in a second with high priority.
pub(crate) const MIN_BODY_COST: u64 = 8 << 10;
pub(crate) const PARTIAL_HEAD_COST: u64 = 64 << 10;

/// The cost of a rejected request: a full bucket and the maximum debt.
pub(crate) const REJECTION_COST: u64 = 2 * CAPACITY;

/// The bytes that one connection may move with high priority.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBucket {
    left: i64,
    at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(now: Instant) -> TokenBucket {
        TokenBucket { left: CAPACITY.cast_signed(), at: now }
    }

    /// Takes `bytes` out of the bucket.
    pub(crate) fn spend(&mut self, bytes: u64, now: Instant) {
        // The bucket may go into debt, so that a bulk transfer does not have high priority a millisecond later.
        self.left = self.left(now).saturating_sub_unsigned(bytes).max(-CAPACITY.cast_signed());
        self.at = now;
    }

    /// True if the connection has moved all that it may with high priority.
    pub(crate) fn is_exhausted(&self, now: Instant) -> bool {
        self.left(now) <= 0
    }

    fn left(&self, now: Instant) -> i64 {
        let milliseconds = now.saturating_duration_since(self.at).as_millis();
        let regained =
            CAPACITY.saturating_mul(u64::try_from(milliseconds).unwrap_or(CAPACITY)) / 1_000;
        CAPACITY.cast_signed().min(self.left.saturating_add_unsigned(regained))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{CAPACITY, MIN_BODY_COST, PARTIAL_HEAD_COST, REJECTION_COST, TokenBucket};

    #[test]
    fn what_is_spent_comes_back_within_two_seconds() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start);
        bucket.spend(CAPACITY - 1, start);
        assert!(!bucket.is_exhausted(start), "small");
        bucket.spend(CAPACITY, start);
        assert!(bucket.is_exhausted(start), "bulk");
        let soon = start + Duration::from_millis(1_100);
        assert!(!bucket.is_exhausted(soon), "has waited");
        bucket.spend(CAPACITY / 5, soon);
        assert!(bucket.is_exhausted(soon), "goes on as before");
    }

    #[test]
    fn a_rejected_connection_has_low_priority_for_a_second() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start);
        bucket.spend(REJECTION_COST, start);
        assert!(bucket.is_exhausted(start + Duration::from_millis(900)));
        bucket.spend(REJECTION_COST, start);
        assert!(!bucket.is_exhausted(start + Duration::from_millis(1_100)), "no longer for two");
    }

    #[test]
    fn bytes_that_come_one_by_one_exhaust_the_bucket_within_a_second() {
        for (piece, little) in [(MIN_BODY_COST, 31), (PARTIAL_HEAD_COST, 3)] {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(start);
            for number in 1..=little {
                bucket.spend(piece, start);
                assert!(!bucket.is_exhausted(start), "after {number} pieces");
            }
            bucket.spend(piece, start);
            assert!(bucket.is_exhausted(start), "after {} pieces", little + 1);
        }
    }

    #[test]
    fn live_audio_never_exhausts_the_bucket() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start);
        for step in 0..600 {
            let now = start + Duration::from_millis(100 * step);
            bucket.spend(19_200, now);
            assert!(!bucket.is_exhausted(now), "after {step} tenths of a second");
        }
    }
}
