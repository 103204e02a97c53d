//! What the command line and the console both do: show the status, reset security.
//!
//! Each asks the running daemon on the control socket. Where none runs, it reads or changes the state files itself.

pub(crate) mod reset;
pub(crate) mod status;

mod report;

use std::fmt;

/// Why the status can't be shown or security was not reset, in a sentence.
#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
