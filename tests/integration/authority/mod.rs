//! The vendor's program as it runs at the vendor: its commands, appliances that ask it, and power cuts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;
#[path = "../state/trace.rs"]
mod trace;

mod answering;
mod by_mail;
mod hostile;
mod load;
mod machine;
mod power_cut;
mod selling;
mod vendor;
