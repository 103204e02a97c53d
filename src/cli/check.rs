//! `check`: whether the daemon would start, and with which settings. Changes nothing, needs no daemon.
//!
//! With `--settings` it checks only the settings, for scripts that run before a start: with a damaged state
//! the daemon starts anyway, in a safe state.
//!
//! The settings go to standard output, so that they can be kept as a file; everything else goes to
//! standard error.

use super::{Exit, Options, complain, print, settings_as_user};
use crate::diagnosis::check::{Findings, findings};

pub(super) fn run(options: &Options) -> Exit {
    // Finding bad settings is this command's purpose, so it exits with 1 and not with the daemon's 78.
    let Some(config) = settings_as_user(options) else { return Exit::Failed };
    let printed = print(&format!("{:#}", config.to_json()));
    if options.settings {
        return printed;
    }
    let Findings { notes, faults } = findings(&config);
    for note in notes {
        complain(note);
    }
    for fault in &faults {
        complain(fault);
    }
    if faults.is_empty() { printed } else { Exit::Failed }
}
