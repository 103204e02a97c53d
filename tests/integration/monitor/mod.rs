//! What the machine does and what is done to it: the Glances view, and management beside security.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;

mod glances_view;
mod logs;
mod power;
mod resources;
mod ways;
