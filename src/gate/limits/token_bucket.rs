//! Who goes first where there is much to do: an exchange that has moved little lately goes before one
//! that moves all it can, so that a small request never waits behind somebody's gigabyte, behind
//! bytes that come one by one, or behind who guesses passwords all the time.

use std::time::Instant;

/// Bytes an exchange moves before it is a big one, and what it may move in a second without ever being
/// one. Live audio stays below: 48,000 samples of four bytes are 192,000.
const BYTES: u64 = 256 << 10;

/// What a piece of a body counts for at least, and one of a head that is not whole with it: they cost as
/// much work. So 32 of the one and four of the other are still little in a second.
pub(crate) const BODY_PIECE: u64 = 8 << 10;
pub(crate) const HEAD_PIECE: u64 = 64 << 10;

/// What a refusal counts for: all there is, and as much debt as there may be.
pub(crate) const REFUSAL: u64 = 2 * BYTES;

/// What is left to one exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBucket {
    left: i64,
    at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(now: Instant) -> TokenBucket {
        TokenBucket { left: BYTES.cast_signed(), at: now }
    }

    /// So many bytes have been moved.
    pub(crate) fn spend(&mut self, bytes: u64, now: Instant) {
        // A debt, so that who moves all it can is not a small one again a millisecond later.
        self.left = self.left(now).saturating_sub_unsigned(bytes).max(-BYTES.cast_signed());
        self.at = now;
    }

    /// It has moved more than it may before others.
    pub(crate) fn is_exhausted(&self, now: Instant) -> bool {
        self.left(now) <= 0
    }

    fn left(&self, now: Instant) -> i64 {
        let milliseconds = now.saturating_duration_since(self.at).as_millis();
        let regained = BYTES.saturating_mul(u64::try_from(milliseconds).unwrap_or(BYTES)) / 1_000;
        BYTES.cast_signed().min(self.left.saturating_add_unsigned(regained))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{BODY_PIECE, BYTES, HEAD_PIECE, REFUSAL, TokenBucket};

    #[test]
    fn what_is_spent_comes_back_within_two_seconds() {
        let start = Instant::now();
        let mut allowance = TokenBucket::new(start);
        allowance.spend(BYTES - 1, start);
        assert!(!allowance.is_exhausted(start), "small");
        allowance.spend(BYTES, start);
        assert!(allowance.is_exhausted(start), "big");
        let soon = start + Duration::from_millis(1_100);
        assert!(!allowance.is_exhausted(soon), "has waited");
        allowance.spend(BYTES / 5, soon);
        assert!(allowance.is_exhausted(soon), "goes on as before");
    }

    #[test]
    fn who_was_refused_lets_others_go_first_for_a_second() {
        let start = Instant::now();
        let mut allowance = TokenBucket::new(start);
        allowance.spend(REFUSAL, start);
        assert!(allowance.is_exhausted(start + Duration::from_millis(900)));
        allowance.spend(REFUSAL, start);
        assert!(!allowance.is_exhausted(start + Duration::from_millis(1_100)), "no longer for two");
    }

    #[test]
    fn who_sends_byte_by_byte_is_a_big_one_within_a_second() {
        for (piece, little) in [(BODY_PIECE, 31), (HEAD_PIECE, 3)] {
            let start = Instant::now();
            let mut allowance = TokenBucket::new(start);
            for number in 1..=little {
                allowance.spend(piece, start);
                assert!(!allowance.is_exhausted(start), "after {number} pieces");
            }
            allowance.spend(piece, start);
            assert!(allowance.is_exhausted(start), "after {} pieces", little + 1);
        }
    }

    #[test]
    fn live_audio_is_never_big() {
        let start = Instant::now();
        let mut allowance = TokenBucket::new(start);
        for step in 0..600 {
            let now = start + Duration::from_millis(100 * step);
            allowance.spend(19_200, now);
            assert!(!allowance.is_exhausted(now), "after {step} tenths of a second");
        }
    }
}
