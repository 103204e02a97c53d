//! `serve`: the daemon.

use super::{Exit, Options, complain, settings};
use crate::daemon;
use crate::log::Log;

pub(super) fn run(options: &Options) -> Exit {
    let Some(config) = settings(options) else { return Exit::Settings };
    match daemon::run(config, &Log::to_stderr()) {
        Ok(()) => Exit::Fine,
        Err(reason) => {
            complain(reason);
            Exit::Failed
        }
    }
}
