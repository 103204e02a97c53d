//! The programs as they run: real binaries, real sockets, and real curl, openssl and strace around them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

mod support;

mod attack;
mod authority;
mod clients;
mod console;
mod license;
mod management_api;
mod monitor;
mod process;
mod speech;
mod state;
