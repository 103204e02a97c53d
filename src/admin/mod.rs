//! What the command line and the console both do: show the status, reset security.
//!
//! Each asks the running daemon on the control socket. Where none runs, it reads or changes the state files itself.
//! Errors are sentences for the administrator.

pub(crate) mod reset;
pub(crate) mod status;
