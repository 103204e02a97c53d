//! `console`: the text menu of [`crate::console`].

use super::{Exit, Options, settings_as_user};
use crate::console;

pub(super) fn run(options: &Options) -> Exit {
    match settings_as_user(options) {
        Some(config) => {
            console::run(&config);
            Exit::Fine
        }
        None => Exit::Settings,
    }
}
