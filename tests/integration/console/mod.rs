//! The console as a person meets it: on a terminal of 80 by 24, and on a line that can do nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;

#[path = "../license/vendor.rs"]
#[allow(dead_code)] // the other program uses the rest of it
mod vendor;

#[path = "../license/wire.rs"]
#[allow(dead_code)]
mod wire;

mod down;
mod input;
mod license;
mod line;
mod machine;
mod security;
mod terminal;
