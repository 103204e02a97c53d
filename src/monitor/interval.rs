//! The kernel's counters at two moments, and the time between them.

use std::time::Duration;

use super::read;

/// Counters at two moments, from which each plugin reads its own.
#[derive(Debug, Default)]
pub(super) struct Interval {
    pub(super) before: Counters,
    pub(super) now: Counters,
    /// Seconds between the two; more than 0 once the counters were read.
    pub(super) seconds: f64,
}

/// The texts of proc(5); one that can't be read is empty. All are empty for the boot, when every counter
/// was 0.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// `/proc/stat`
    pub(super) stat: String,
    /// `/proc/net/dev`
    pub(super) net_dev: String,
    /// `/proc/diskstats`
    pub(super) diskstats: String,
}

impl Counters {
    pub(super) fn read() -> Counters {
        let text = |path| read(path).unwrap_or_default();
        Counters {
            stat: text("/proc/stat"),
            net_dev: text("/proc/net/dev"),
            diskstats: text("/proc/diskstats"),
        }
    }
}

impl Interval {
    /// Moves the current counters to `before`; without any, the interval began with the boot.
    pub(super) fn advance(&mut self, now: Counters, passed: Option<Duration>) {
        self.before = std::mem::replace(&mut self.now, now);
        self.seconds = match passed {
            Some(passed) => passed.as_secs_f64(),
            // Never 0, even if /proc can't be read, because plugins divide by it.
            None => uptime().unwrap_or(1.0).max(1.0),
        };
    }
}

/// Seconds since the boot, from `/proc/uptime`.
pub(super) fn uptime() -> Result<f64, String> {
    let text = read("/proc/uptime")?;
    let first = text.split(' ').next().and_then(|number| number.parse().ok());
    first.ok_or_else(|| "/proc/uptime holds no number".into())
}
