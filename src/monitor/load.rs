//! `load`: the load averages of 1, 5 and 15 minutes, and the number of processors.

use serde_json::{Value, json};

use super::cpu::logical;
use super::interval::Interval;

pub(super) fn stats(interval: &Interval) -> Result<Value, String> {
    let loads = rustix::system::sysinfo().loads;
    // Fixed-point numbers with 16 bits behind the point (sysinfo(2)).
    let [min1, min5, min15] = loads.map(|load| load as f64 / 65_536.0);
    Ok(json!({"min1": min1, "min5": min5, "min15": min15, "cpucore": logical(&interval.now.stat)}))
}
