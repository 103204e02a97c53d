//! Numbers that many threads change at the same time: without a lock, and without an order among them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of something there are now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// To be called once for each [`Gauge::increment`].
    pub(crate) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the buckets of a [`Histogram`], in seconds, as OpenMetrics writes them.
pub(super) const BOUNDS: [(&str, Duration); 13] = [
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
    ("60.0", Duration::from_secs(60)),
];

/// Durations by size.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// Durations up to each of [`BOUNDS`] and above the bound before, and then those above all bounds.
    within: [Counter; BOUNDS.len() + 1],
    /// All of them together; 2^64 of these are 584 years.
    nanoseconds: Counter,
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let bucket = BOUNDS.iter().position(|(_, bound)| duration <= *bound);
        if let Some(within) = self.within.get(bucket.unwrap_or(BOUNDS.len())) {
            within.increment();
        }
        self.nanoseconds.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many durations were at most as long as each of [`BOUNDS`], and how many there were.
    pub(super) fn cumulative(&self) -> [u64; BOUNDS.len() + 1] {
        let mut count = 0;
        std::array::from_fn(|bucket| {
            count += self.within.get(bucket).map_or(0, Counter::get);
            count
        })
    }

    /// The sum of all durations.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.get())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BOUNDS, Histogram};

    #[test]
    fn a_duration_is_in_each_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for milliseconds in [1, 2, 60_000, 60_001] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let counts = histogram.cumulative();
        assert_eq!((counts[0], counts[1], counts[BOUNDS.len() - 2]), (1, 2, 2));
        assert_eq!((counts[BOUNDS.len() - 1], counts[BOUNDS.len()]), (3, 4));
        assert_eq!(histogram.total(), Duration::from_millis(120_004));
    }
}
