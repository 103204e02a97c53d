//! Dates as the license authority's commands take them.

use std::process::Command;

/// The time in `seconds` from now, as `2026-01-31T12:00:00Z`.
pub(crate) fn in_seconds(seconds: u64) -> String {
    let when = format!("+{seconds} seconds");
    let told = Command::new("date").args(["-u", "-d", &when, "+%Y-%m-%dT%H:%M:%SZ"]).output();
    String::from_utf8(told.unwrap().stdout).unwrap().trim().to_owned()
}
