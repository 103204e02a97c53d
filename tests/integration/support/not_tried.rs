//! What this machine does not let a test try: told, and taken out of what passed.
//!
//! Rust's harness knows no test that gives up while it runs, and counts it as passed. So each writes a
//! line into the file that `scripts/test` names, which counts and prints them in the end.

use std::fs::File;
use std::io::Write as _;
use std::panic::Location;

/// The environment variable that names the file.
const LIST: &str = "APPLIANCED_NOT_TRIED";

/// Tells that the test that runs was not tried, and why. Its caller returns.
#[track_caller]
pub(crate) fn not_tried(why: &str) {
    let thread = std::thread::current();
    let test = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        // The harness has but one thread.
        _ => Location::caller().to_string(),
    };
    let line =
        format!("{}::{test}: {}\n", env!("CARGO_CRATE_NAME"), why.trim().replace('\n', "; "));
    // Past the harness, which shows what a test says only if it fails.
    let _ = std::io::stderr().write_all(format!("NOT TRIED: {line}").as_bytes());
    if let Some(list) = std::env::var_os(LIST) {
        let mut list = File::options().append(true).create(true).open(list).unwrap();
        list.write_all(line.as_bytes()).unwrap();
    }
}
