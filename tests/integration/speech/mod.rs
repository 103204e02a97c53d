//! The gate as a reverse proxy for speech: what it lets through, in which shape, and what it doesn't.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking
#![allow(clippy::print_stdout)] // shown with a failed test, and only then

#[path = "../support/mod.rs"]
mod support;

mod addressing;
mod early_answers;
mod gone_clients;
mod hanging;
mod keep_alive;
mod large_bodies;
mod malformed;
mod manual_speech;
mod misbehaving;
mod old_clients;
mod read_otherwise;
mod rows;
mod slow_clients;
mod streaming;
mod untidy_answers;
mod websocket;
mod websocket_many;
