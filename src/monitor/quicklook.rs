//! `quicklook`: the values of Glances' top line.

use serde_json::{Value, json};

use super::interval::Interval;
use super::processor::{cpuinfo, frequencies, values};
use super::{cpu, mem, memswap, percpu};

pub(super) fn stats(interval: &Interval) -> Result<Value, String> {
    let cpuinfo = cpuinfo();
    let (current, highest) = frequencies(&cpuinfo);
    Ok(json!({
        "cpu": cpu::stats(interval)?["total"],
        "percpu": percpu::stats(interval)?,
        "mem": mem::stats(interval)?["percent"],
        "swap": memswap::stats(interval)?["percent"],
        "cpu_name": values(&cpuinfo, "model name").next().unwrap_or("CPU"),
        "cpu_hz_current": current,
        "cpu_hz": highest,
    }))
}
