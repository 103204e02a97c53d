//! `quicklook`: the few numbers of the top line, and what the processor is.

use serde_json::{Value, json};

use super::interval::Interval;
use super::processor::{cpuinfo, frequencies, values};
use super::{cpu, mem, memswap, percpu};

pub(super) fn look(interval: &Interval) -> Result<Value, String> {
    let cpuinfo = cpuinfo();
    let (current, highest) = frequencies(&cpuinfo);
    Ok(json!({
        "cpu": cpu::look(interval)?["total"],
        "percpu": percpu::look(interval)?,
        "mem": mem::look(interval)?["percent"],
        "swap": memswap::look(interval)?["percent"],
        "cpu_name": values(&cpuinfo, "model name").next().unwrap_or("CPU"),
        "cpu_hz_current": current,
        "cpu_hz": highest,
    }))
}
