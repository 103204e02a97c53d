//! `console`, `reset` and `status`: what the administrator does on the machine itself.

use super::{Exit, Options, complain, print, settings_as_user};
use crate::admin::{reset, status};
use crate::diagnosis::screen;
use crate::log::Log;

/// The text menu of [`crate::console`].
pub(super) fn console(options: &Options) -> Exit {
    let Some(config) = settings_as_user(options) else { return Exit::Settings };
    crate::console::run(&config);
    Exit::Fine
}

/// What the console's "Reset security" does, whether or not the daemon runs.
pub(super) fn reset(options: &Options) -> Exit {
    let Some(config) = settings_as_user(options) else { return Exit::Settings };
    shown(reset::reset(&config, options.new_certificate, Log::to_stderr()))
}

/// One screen, from the running daemon where there is one, otherwise from its files.
pub(super) fn status(options: &Options) -> Exit {
    let Some(config) = settings_as_user(options) else { return Exit::Settings };
    let text = if options.json { |status: &_| format!("{status}") } else { screen::text };
    shown(status::read(&config).map(|status| text(&status)))
}

fn shown(done: Result<String, String>) -> Exit {
    match done {
        Ok(text) => print(&text),
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}
