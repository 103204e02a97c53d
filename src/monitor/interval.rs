//! What happened between two looks: the kernel's counters, which only ever count up, then and now.

use std::time::Duration;

use super::{Error, read};

/// Counters at two moments. Each plugin reads its own out of them.
#[derive(Debug, Default)]
pub(super) struct Interval {
    pub(super) before: Counters,
    pub(super) now: Counters,
    /// Seconds between the two, more than 0 once there was a look.
    pub(super) seconds: f64,
}

/// The texts of proc(5); one that can't be read is empty, as are all at the boot, when everything
/// stood at 0.
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
    /// What was now is before; without a look before, the interval began with the boot.
    pub(super) fn advance(&mut self, now: Counters, passed: Option<Duration>) {
        self.before = std::mem::replace(&mut self.now, now);
        self.seconds = match passed {
            Some(passed) => passed.as_secs_f64(),
            // Nobody divides by zero, even where /proc is not to be had.
            None => uptime().unwrap_or(1.0).max(1.0),
        };
    }
}

/// Seconds since the boot, from `/proc/uptime`.
pub(super) fn uptime() -> Result<f64, Error> {
    let text = read("/proc/uptime")?;
    let first = text.split(' ').next().and_then(|number| number.parse().ok());
    first.ok_or_else(|| "/proc/uptime holds no number".into())
}
