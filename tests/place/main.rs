//! How the daemon is placed in a machine: what it may still do, as whom, with whose sockets, and what
//! runs beside it. Looked at from outside, in `/proc`; what the kernel refuses is tried by the unit
//! tests of `confinement`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;

mod absent_address;
mod command_helper;
mod first_moments;
mod image;
mod passed_sockets;
mod process;
mod rights;
mod standard_error;
mod user;
