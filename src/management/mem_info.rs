//! `meminfo`: memory in KiB, as numbers, as the original has it.

use serde_json::{Value, json};

use super::Context;
use super::answer::{Answer, Code};
use super::request::Request;

pub(super) fn show(context: &Context, _: &mut Request<'_>) -> Answer {
    match context.monitor.stats("mem") {
        Ok(mem) => Answer::json(&told(&mem)),
        Err(cause) => Answer::error(Code::Internal, &cause),
    }
}

fn told(mem: &Value) -> Value {
    let kib = |member: &str| mem[member].as_u64().unwrap_or(0) / 1024;
    let (total, available) = (kib("total"), kib("available"));
    let used = total.saturating_sub(available);
    let share = if total == 0 { 0.0 } else { used as f64 / total as f64 * 100.0 };
    json!({
        "available_kb": available,
        "total_kb": total,
        // Six digits behind the point are what the original's single precision has.
        "usage_percentage": (share * 1e6).round() / 1e6,
        "used_kb": used,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn the_percentage_has_the_digits_of_the_original() {
        let mem = json!({"total": 32_862_660_u64 * 1024, "available": 27_963_724_u64 * 1024});
        assert_eq!(
            super::told(&mem).to_string(),
            r#"{"available_kb":27963724,"total_kb":32862660,"usage_percentage":14.907302,"used_kb":4898936}"#
        );
    }
}
