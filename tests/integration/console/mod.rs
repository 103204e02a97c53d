//! The console as a person meets it: on a terminal of 80 by 24, and on a line that can do nothing.

mod input;
mod license;
mod machine;
mod network;
mod security;
pub(crate) mod session;
mod terminal;
mod without_daemon;
