//! STUB
use std::ffi::OsString;
/// Runs the command the words name.
pub fn run(_args: Vec<OsString>) -> std::process::ExitCode {
    unimplemented!()
}
