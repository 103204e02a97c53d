//! `status`: one screen, from the running daemon where there is one, otherwise from its files.

use super::{Exit, Options, complain, print, settings_as_user};
use crate::admin::status;

pub(super) fn run(options: &Options) -> Exit {
    let Some(config) = settings_as_user(options) else { return Exit::Settings };
    match status::read(&config) {
        Ok(status) if options.json => print(&status.to_string()),
        Ok(status) => print(status::text(&status).trim_end()),
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}
