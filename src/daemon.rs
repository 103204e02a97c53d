//! STUB: start-up and shut-down.
use crate::config::Config;
use crate::log::Log;
/// Runs until SIGTERM or SIGINT; `Err` is the one-line reason why it could not start (exit code 1).
pub fn run(_config: Config, _log: Log) -> Result<(), String> {
    unimplemented!()
}
