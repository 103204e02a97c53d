//! What `serve` counts since its start, for `/metrics`.
//!
//! Every label has few values: no code, no address and no name is ever one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of the store of records.
#[derive(Default)]
pub(crate) struct StoreCounters {
    /// Steps that read or changed records together.
    pub(crate) steps: Counter,
}

/// Counters of the listening sockets.
#[derive(Default)]
pub(crate) struct ConnectionCounters {
    pub(crate) accepted: Counter,
    /// Refused, because their address had too many.
    pub(crate) refused_of_address: Counter,
    /// Refused, because there were too many in all.
    pub(crate) refused_of_all: Counter,
    /// Closed for a newcomer, while nobody worked for them.
    pub(crate) evicted: Counter,
}

/// Upper bounds of the buckets of a [`Histogram`], in seconds, as OpenMetrics writes them.
pub(crate) const BOUNDS: [(&str, Duration); 12] = [
    ("0.001", Duration::from_micros(1_000)),
    ("0.0025", Duration::from_micros(2_500)),
    ("0.005", Duration::from_millis(5)),
    ("0.01", Duration::from_millis(10)),
    ("0.025", Duration::from_millis(25)),
    ("0.05", Duration::from_millis(50)),
    ("0.1", Duration::from_millis(100)),
    ("0.25", Duration::from_millis(250)),
    ("0.5", Duration::from_millis(500)),
    ("1.0", Duration::from_secs(1)),
    ("2.5", Duration::from_millis(2_500)),
    ("10.0", Duration::from_secs(10)),
];

/// Durations by size.
#[derive(Default)]
pub(crate) struct Histogram(Mutex<Sums>);

/// What a [`Histogram`] has seen.
#[derive(Default, Clone)]
pub(crate) struct Sums {
    /// Durations up to each of [`BOUNDS`] and above the bound before.
    pub(crate) within: [u64; BOUNDS.len()],
    pub(crate) count: u64,
    pub(crate) total: Duration,
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.count += 1;
        sums.total += duration;
        let bucket = BOUNDS.iter().zip(&mut sums.within).find(|((_, bound), _)| duration <= *bound);
        if let Some((_, bucket)) = bucket {
            *bucket += 1;
        }
    }

    pub(crate) fn sums(&self) -> Sums {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything that is counted.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Questions by kind and outcome.
    questions: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// From the last byte of a question to its answer.
    pub(crate) durations: Histogram,
    /// Codes that no license has.
    pub(crate) wrong_codes: Counter,
    pub(crate) connections: ConnectionCounters,
    pub(crate) store: StoreCounters,
}

impl Metrics {
    /// Counts a question; both words are names of the protocol.
    pub(crate) fn question(&self, kind: &'static str, outcome: &'static str) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        *questions.entry((kind, outcome)).or_default() += 1;
    }

    /// How many questions of each kind had each outcome.
    pub(crate) fn questions(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BOUNDS, Histogram};

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for milliseconds in [1, 2, 10_000, 10_001] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let sums = histogram.sums();
        assert_eq!((sums.within[0], sums.within[1], sums.within[BOUNDS.len() - 1]), (1, 1, 1));
        assert_eq!((sums.count, sums.total), (4, Duration::from_millis(20_004)));
    }
}
