//! `uptime`: the time since the boot, as Python formats a `timedelta`.

use serde_json::Value;

use super::interval::{Interval, uptime};

pub(super) fn stats(_: &Interval) -> Result<Value, String> {
    uptime().map(|seconds| Value::String(shown(seconds as u64)))
}

fn shown(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn days_are_named_only_when_there_are_some() {
        assert_eq!(shown(1_408), "0:23:28");
        assert_eq!(shown(86_400 + 59), "1 day, 0:00:59");
        assert_eq!(shown(19 * 86_400 + 5 * 3_600 + 41 * 60 + 56), "19 days, 5:41:56");
    }
}
