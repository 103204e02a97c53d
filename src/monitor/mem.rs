//! `mem`: memory in bytes, from `/proc/meminfo` (proc(5)), counted as Glances counts it.

use std::fs;

use serde_json::{Map, Value, json};

pub(super) fn look() -> Result<Map<String, Value>, String> {
    let text = fs::read_to_string("/proc/meminfo").map_err(|fault| fault.to_string())?;
    parse(&text).ok_or_else(|| "/proc/meminfo has no MemTotal".to_owned())
}

fn parse(meminfo: &str) -> Option<Map<String, Value>> {
    let bytes = |name: &str| {
        meminfo.lines().find_map(|line| {
            let amount = line.strip_prefix(name)?.strip_prefix(':')?;
            amount.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        })
    };
    let or_zero = |name: &str| bytes(name).unwrap_or(0);
    let total = bytes("MemTotal").filter(|total| *total > 0)?;
    let (buffers, cached) = (or_zero("Buffers"), or_zero("Cached") + or_zero("SReclaimable"));
    // Kernels before 3.14 have no MemAvailable.
    let available =
        bytes("MemAvailable").unwrap_or(or_zero("MemFree") + buffers + cached).min(total);
    let used = total - available;
    let percent = (used as f64 / total as f64 * 1000.0).round() / 10.0;
    // Glances calls "free" what is available, since that is what programs can still have.
    let stats = json!({
        "total": total,
        "available": available,
        "percent": percent,
        "used": used,
        "free": available,
        "active": or_zero("Active"),
        "inactive": or_zero("Inactive"),
        "buffers": buffers,
        "cached": cached,
        "shared": or_zero("Shmem"),
    });
    match stats {
        Value::Object(stats) => Some(stats),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::parse;

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
    fn an_old_kernel_and_a_broken_file_are_survived() {
        let old = SAMPLE.replace("MemAvailable:    972 kB\n", "");
        assert_eq!(parse(&old).unwrap()["available"], 132 * 1024);
        assert!(parse("").is_none());
        assert!(parse("MemTotal: 99999999999999999999 kB").is_none());
    }
}
