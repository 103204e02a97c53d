//! The appliance as its users meet it: over the network, through the control socket, with signals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;

mod access_rules;
mod bad_uploads;
mod failed_handshakes;
mod good_uploads;
mod guessing;
mod hot_swap;
mod local_door;
mod manual_v1;
mod manual_v2;
mod other_sites;
mod own_answers;
mod passwords;
mod secrets;
mod signals;
mod slow_settings;
mod tickets;
mod tls;
mod warnings;
