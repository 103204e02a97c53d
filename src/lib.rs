//! One static binary that gives a virtual appliance its front door and its license.
//!
//! ```text
//! data     listener -> tls -> head -> policy -> route -> forward or tunnel -> service
//! control  curl/browser -> data flow -> control.sock -> management -> security | license -> store
//! ```
//!
//! What management has in memory the data flow asks it for without the socket.
//! The two flows meet in `util::published`: keepers on the control side publish whole immutable values,
//! the data side takes a snapshot per request and holds no lock while it waits for a socket.

pub(crate) mod admin;
pub(crate) mod authority;
pub(crate) mod cli;
pub(crate) mod config;
pub(crate) mod console;
pub(crate) mod daemon;
pub(crate) mod gate;
pub(crate) mod helper;
pub(crate) mod http;
pub(crate) mod license;
pub(crate) mod log;
pub(crate) mod management;
pub(crate) mod monitor;
pub(crate) mod sandbox;
pub(crate) mod security;
pub(crate) mod signals;
pub(crate) mod store;
pub(crate) mod util;

/// The rules of the appliance's manuals, numbered, in our own words. Code and tests cite them as `M1-…`
/// (version 1 of the API), `M2-…` (version 2), `ML-…` (licensing) and `MA-…` (facts from elsewhere).
#[doc = include_str!("manual.md")]
pub mod manual {}

use std::ffi::OsString;
use std::process::ExitCode;

/// What an appliance and its license authority say to each other, for whoever writes another side of it.
pub use license::protocol;

/// Runs `applianced` with the arguments after the program's name.
#[must_use]
pub fn appliance(arguments: Vec<OsString>) -> ExitCode {
    cli::run(arguments)
}

/// Runs `license-authority` with the arguments after the program's name.
#[must_use]
pub fn license_authority(arguments: Vec<OsString>) -> ExitCode {
    authority::cli::run(arguments)
}

/// What the fuzzers call: each function takes any bytes and panics if a rule of its own is broken.
#[cfg(fuzzing)]
pub mod fuzz {
    pub use crate::config::fuzz as config;
    pub use crate::gate::fuzz as gate;
    pub use crate::license::fuzz as license;
    pub use crate::management::fuzz as management;
    pub use crate::security::fuzz as security;
}
