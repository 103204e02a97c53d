//! The license as the administrator, the speech engine and the vendor meet it: over the network, against
//! a running authority, through outages and power cuts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;

#[path = "../state/trace.rs"]
#[allow(dead_code)] // the other program uses the rest of it
mod trace;

mod bad_input;
mod copies;
mod damage;
mod disk;
mod ending;
mod errors;
mod gate;
mod give_back;
mod health;
mod manual;
mod offline;
mod old_image;
mod portal;
mod power_cut;
mod proxy;
mod silence;
mod unconfirmed;
mod unknown;
mod usage;
mod vendor;
mod wire;
mod wrong_clocks;
