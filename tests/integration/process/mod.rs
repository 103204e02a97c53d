//! How the daemon is placed in a machine: what it may still do, as whom, with whose sockets, and what
//! runs beside it. Looked at from outside, in `/proc`; what the kernel refuses is tried by the unit
//! tests of `sandbox`.

mod absent_address;
mod command_helper;
mod early_signals;
mod image;
mod json_log;
mod privileges;
pub(crate) mod proc;
mod socket_activation;
mod standard_error;
pub(crate) mod user;
