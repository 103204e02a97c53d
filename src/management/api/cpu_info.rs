//! `cpuinfo`: model and load of the processors.

use serde_json::{Value, json};

use super::request::Request;
use super::response::{Answer, Response};
use crate::management::Context;
use crate::monitor::processor;

pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    Response::json_or_error(to_json(context))
}

fn to_json(context: &Context) -> Result<Value, String> {
    let (cpu, core) = (context.monitor.stats("cpu")?, context.monitor.stats("core")?);
    let (physical, logical) = (core["phys"].as_u64(), core["log"].as_u64().unwrap_or(0));
    let cpuinfo = processor::cpuinfo();
    // ARM calls features what x86 calls flags.
    let first = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| processor::values(&cpuinfo, name).next());
        found.unwrap_or_default()
    };
    let mut flags: Vec<&str> = first(["flags", "Features"]).split(' ').collect();
    flags.sort_unstable();
    Ok(json!({
        "usage_percentage": cpu["total"],
        "architecture": rustix::system::uname().machine().to_string_lossy().to_uppercase(),
        "model_name": first(["model name", "CPU part"]),
        "cpus": logical.to_string(),
        "vendor": first(["vendor_id", "CPU implementer"]),
        "hyperthreading": physical.is_some_and(|physical| logical > physical),
        "flags": flags.join(" "),
    }))
}
