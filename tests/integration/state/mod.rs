//! What the appliance makes of its own files: after a power cut, after damage, at a start that must fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;

mod damage;
mod power_cut;
mod settings_and_start;
mod standing;
mod trace;
