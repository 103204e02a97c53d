//! `memswap`: swap space in bytes, and what was swapped in and out since the boot.

use serde_json::{Value, json};

use super::interval::Interval;
use super::mem::bytes;
use super::{percent, read};

pub(super) fn stats(interval: &Interval) -> Result<Value, String> {
    // A kernel without swap has no such counters in /proc/vmstat.
    let vmstat = read("/proc/vmstat").unwrap_or_default();
    Ok(parse(&read("/proc/meminfo")?, &vmstat, interval.seconds))
}

fn parse(meminfo: &str, vmstat: &str, seconds: f64) -> Value {
    let total = bytes(meminfo, "SwapTotal").unwrap_or(0);
    let free = bytes(meminfo, "SwapFree").unwrap_or(0).min(total);
    let moved = |name: &str| {
        let line = vmstat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let pages: u64 = line.and_then(|pages| pages.trim().parse().ok()).unwrap_or(0);
        // As Glances counts, whatever the page size.
        pages.saturating_mul(4096)
    };
    json!({
        "total": total,
        "used": total - free,
        "free": free,
        "percent": percent(total - free, total),
        "sin": moved("pswpin"),
        "sout": moved("pswpout"),
        "time_since_update": seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn swap_is_counted_in_bytes() {
        let seen = parse(
            "MemTotal: 1000 kB\nSwapTotal:       800 kB\nSwapFree:        600 kB\n",
            "pgpgin 5\npswpin 3\npswpout 4\npswpoutx 5\n",
            1.5,
        );
        assert_eq!(
            seen.to_string(),
            r#"{"total":819200,"used":204800,"free":614400,"percent":25.0,"sin":12288,"sout":16384,"time_since_update":1.5}"#
        );
    }

    #[test]
    fn no_swap_is_zero() {
        let seen = parse("MemTotal: 1000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", "", 1.0);
        assert_eq!((&seen["total"], &seen["percent"]), (&0.into(), &0.0.into()));
        assert_eq!(parse("", "", 1.0)["free"], 0);
    }
}
