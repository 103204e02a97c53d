//! What a stranger on the network may try, against the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;

mod asks;
mod cells;
mod credentials;
mod crowds;
mod known_failures;
mod nobody_gets_in;
mod rules;
mod world;
