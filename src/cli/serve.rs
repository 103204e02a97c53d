//! `serve`: the daemon.

use std::panic;

use super::{Exit, Options, complain, settings};
use crate::daemon;
use crate::log::Log;

pub(super) fn run(options: &Options) -> Exit {
    let Some(config) = settings(options) else { return Exit::Settings };
    let log = Log::to_stderr();
    // As a line of the log, for the usual words of a panic wait where nobody reads standard error.
    let told = log.clone();
    panic::set_hook(Box::new(move |panic| told.error(panic)));
    match daemon::run(config, &log) {
        Ok(()) => Exit::Fine,
        Err(reason) => {
            complain(reason);
            Exit::Failed
        }
    }
}
