//! `core`: the number of physical and logical processors.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cpu::{logical, numbers};
use super::interval::Interval;
use super::read;

pub(super) fn stats(interval: &Interval) -> Result<Value, String> {
    let stat = &interval.now.stat;
    Ok(json!({"phys": physical(stat), "log": logical(stat)}))
}

/// Threads of one core name the same siblings; `None` if the kernel does not tell.
fn physical(stat: &str) -> Option<usize> {
    let siblings = |number: u32| {
        let folder = format!("/sys/devices/system/cpu/cpu{number}/topology");
        // The second is the first one's name before Linux 5.2.
        let newer = read(&format!("{folder}/core_cpus_list"));
        newer.or_else(|_| read(&format!("{folder}/thread_siblings_list"))).ok()
    };
    let cores: BTreeSet<String> = numbers(stat).filter_map(siblings).collect();
    (!cores.is_empty()).then_some(cores.len())
}
