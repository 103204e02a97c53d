//! `meminfo`: memory in KiB, as numbers (MA-13).

use serde_json::{Value, json};

use super::request::Request;
use super::response::{Answer, Response};
use crate::management::Context;
use crate::monitor::mem::Memory;

pub(crate) fn show(_: &Context, _: &mut Request) -> Answer {
    Response::json_or_error(Memory::read().map(|memory| to_json(&memory)))
}

fn to_json(memory: &Memory) -> Value {
    let share = memory.used as f64 / memory.total as f64 * 100.0;
    json!({
        "available_kb": memory.available / 1024,
        "total_kb": memory.total / 1024,
        // Six decimals, because the value has single precision (MA-13).
        "usage_percentage": (share * 1e6).round() / 1e6,
        "used_kb": memory.used / 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::{Memory, to_json};

    #[test]
    fn the_example_of_the_original_comes_out() {
        let memory = Memory {
            total: 32_862_660 * 1024,
            available: 23_412_128 * 1024,
            used: 4_898_936 * 1024,
        };
        assert_eq!(
            to_json(&memory).to_string(),
            r#"{"available_kb":23412128,"total_kb":32862660,"usage_percentage":14.907302,"used_kb":4898936}"#
        );
    }
}
