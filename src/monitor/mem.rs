//! `mem`: memory in bytes, from `/proc/meminfo` (proc(5)), counted as Glances counts it.

use serde_json::{Value, json};

use super::interval::Interval;
use super::{percent, read};

const NO_TOTAL: &str = "/proc/meminfo has no MemTotal";

pub(super) fn stats(_: &Interval) -> Result<Value, String> {
    parse(&read("/proc/meminfo")?).ok_or_else(|| NO_TOTAL.into())
}

fn parse(meminfo: &str) -> Option<Value> {
    let or_zero = |name| bytes(meminfo, name).unwrap_or(0);
    let total = bytes(meminfo, "MemTotal").filter(|total| *total > 0)?;
    let (buffers, cached) = (or_zero("Buffers"), or_zero("Cached") + or_zero("SReclaimable"));
    // Kernels before 3.14 have no MemAvailable.
    let available =
        bytes(meminfo, "MemAvailable").unwrap_or(or_zero("MemFree") + buffers + cached).min(total);
    let used = total - available;
    Some(json!({
        "total": total,
        "available": available,
        "percent": percent(used, total),
        "used": used,
        // Glances calls "free" what is available, because that is what programs can still have.
        "free": available,
        "active": or_zero("Active"),
        "inactive": or_zero("Inactive"),
        "buffers": buffers,
        "cached": cached,
        "shared": or_zero("Shmem"),
    }))
}

/// Memory as `free` of procps shows it, in bytes. Caches count as neither used nor available, so the two
/// don't add up to the total.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// More than 0.
    pub(crate) total: u64,
    pub(crate) available: u64,
    pub(crate) used: u64,
}

impl Memory {
    pub(crate) fn read() -> Result<Memory, String> {
        Memory::parse(&read("/proc/meminfo")?).ok_or_else(|| NO_TOTAL.into())
    }

    fn parse(meminfo: &str) -> Option<Memory> {
        let stats = parse(meminfo)?;
        let number = |member: &str| stats[member].as_u64().unwrap_or(0);
        let idle = bytes(meminfo, "MemFree").unwrap_or(0) + number("buffers") + number("cached");
        let total = number("total");
        Some(Memory { total, available: number("available"), used: total.saturating_sub(idle) })
    }
}

/// An amount of `/proc/meminfo`, which counts in KiB, in bytes.
pub(super) fn bytes(meminfo: &str, name: &str) -> Option<u64> {
    meminfo.lines().find_map(|line| {
        let amount = line.strip_prefix(name)?.strip_prefix(':')?;
        amount.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Memory, parse};

    const SAMPLE: &str = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    972 kB\n\
        Buffers:           7 kB\nCached:           20 kB\nSwapCached:        1 kB\nActive:           50 kB\n\
        Inactive:         60 kB\nActive(anon):      3 kB\nShmem:             9 kB\nSReclaimable:      5 kB\n";

    #[test]
    fn members_stand_in_glances_order() {
        let stats = serde_json::to_string(&parse(SAMPLE).unwrap()).unwrap();
        assert_eq!(
            stats,
            r#"{"total":1024000,"available":995328,"percent":2.8,"used":28672,"free":995328,"active":51200,"inactive":61440,"buffers":7168,"cached":25600,"shared":9216}"#
        );
    }

    #[test]
    fn caches_are_neither_free_nor_used() {
        let memory = Memory { total: 1000 << 10, available: 972 << 10, used: 868 << 10 };
        assert_eq!(Memory::parse(SAMPLE), Some(memory));
    }

    #[test]
    fn an_old_kernel_and_a_broken_file_are_survived() {
        let old = SAMPLE.replace("MemAvailable:    972 kB\n", "");
        assert_eq!(parse(&old).unwrap()["available"], 132 * 1024);
        assert!(parse("").is_none());
        assert!(parse("MemTotal: 99999999999999999999 kB").is_none());
    }
}
