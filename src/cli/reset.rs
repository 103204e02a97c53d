//! `reset`: what the console's "Reset security" does, whether or not the daemon runs.

use super::{Exit, Options, complain, print, settings_as_user};
use crate::admin::reset::reset;
use crate::log::Log;

pub(super) fn run(options: &Options) -> Exit {
    let Some(config) = settings_as_user(options) else { return Exit::Settings };
    match reset(&config, Log::to_stderr()) {
        Ok(summary) => print(&summary),
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}
