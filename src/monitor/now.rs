//! `now`: the clock, in Glances' format.
//!
//! Always in UTC, because a static binary has no time zone database.

use std::time::SystemTime;

use serde_json::Value;

use super::interval::Interval;
use crate::util::utc;

pub(super) fn stats(_: &Interval) -> Result<Value, String> {
    Ok(Value::String(shown(utc::unix_seconds(SystemTime::now()))))
}

fn shown(unix_seconds: i64) -> String {
    utc::format(unix_seconds).replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_is_written_as_glances_writes_it() {
        assert_eq!(super::shown(1_795_245_811), "2026-11-21 07:23:31 UTC");
    }
}
