//! When a certificate is renewed, and when an attempt that failed is repeated.

use super::record::{AcmeRecord, Failure};
use crate::security::Summary;

/// No authority is asked more often.
pub(super) const SOONEST_RETRY: i64 = 60;
const LATEST_RETRY: i64 = 6 * 3600;
/// An authority that asks for more is asked after it all the same: it may have meant another unit.
const LONGEST_RETRY_AFTER: i64 = 7 * 86_400;

/// When to renew a certificate of which the authority has not said when: after two thirds of its life, less up to
/// a twentieth of it, so that appliances of one batch don't come all at once. `random` is in `0.0..1.0`.
pub(super) fn two_thirds(not_before: i64, not_after: i64, random: f64) -> i64 {
    let life = (not_after - not_before).max(0);
    not_before + life * 2 / 3 - part(life / 20, random)
}

/// A time in the window that the authority suggests (RFC 9773 section 4.2).
pub(super) fn in_window(start: i64, end: i64, random: f64) -> i64 {
    start + part((end - start).max(0), random)
}

/// The failure after one more attempt has failed at `now`. The pauses double from a minute to six hours, and are
/// up to a quarter longer at random; the authority may ask for more (`Retry-After`, in seconds).
pub(super) fn failed(
    before: Option<&Failure>,
    message: String,
    retry_after: Option<i64>,
    now: i64,
    random: f64,
) -> Failure {
    let attempts = before.map_or(0, |failure| failure.attempts).saturating_add(1);
    let doubled = SOONEST_RETRY.saturating_mul(1 << (attempts - 1).min(16)).min(LATEST_RETRY);
    let asked = retry_after.unwrap_or(0).clamp(0, LONGEST_RETRY_AFTER);
    let pause = doubled.max(asked);
    Failure {
        since: before.map_or(now, |failure| failure.since),
        attempts,
        message,
        retry: now + pause + part(pause / 4, random),
    }
}

/// Whether a failure is urgent at `now`: two thirds of the time between the renewal and the end of the
/// certificate have passed.
pub(crate) fn is_urgent(record: &AcmeRecord, summary: &Summary, now: i64) -> bool {
    let Some(renewal) = record.renewal else {
        return false;
    };
    let left = summary.not_after - now;
    record.failure.is_some() && left * 3 < summary.not_after - renewal
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // spans of time, far below 2^52
fn part(span: i64, random: f64) -> i64 {
    (span as f64 * random) as i64
}

#[cfg(test)]
mod tests {
    use super::{failed, in_window, two_thirds};

    #[test]
    fn a_renewal_comes_at_two_thirds_of_the_life_or_a_little_before() {
        assert_eq!(two_thirds(1000, 1000 + 90 * 86_400, 0.0), 1000 + 60 * 86_400);
        assert_eq!(two_thirds(1000, 1000 + 600, 0.999), 1000 + 400 - 29);
        assert_eq!(two_thirds(1000, 900, 0.5), 1000);
        assert_eq!(in_window(100, 200, 0.5), 150);
        assert_eq!(in_window(200, 100, 0.5), 200);
    }

    #[test]
    fn pauses_double_from_a_minute_to_six_hours_and_the_authority_may_ask_for_more() {
        let mut failure = None;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let next = failed(failure.as_ref(), "why".to_owned(), None, 1000, 0.0);
            pauses.push(next.retry - 1000);
            failure = Some(next);
        }
        assert_eq!(pauses[..4], [60, 120, 240, 480]);
        assert_eq!(pauses[9..], [21_600, 21_600, 21_600]);
        assert_eq!(failure.map(|failure| (failure.attempts, failure.since)), Some((12, 1000)));
        let asked = |seconds| failed(None, String::new(), Some(seconds), 0, 0.0).retry;
        assert_eq!((asked(3600), asked(1), asked(i64::MAX)), (3600, 60, 7 * 86_400));
        assert_eq!(failed(None, String::new(), None, 0, 0.999).retry, 74);
    }
}
