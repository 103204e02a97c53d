//! The world of a test in one line: a running appliance, certificates, a speech engine, real `curl` and `openssl`.
//!
//! In: what several tests need. Out: any expectation; what an answer must be stands in the test.

// Each test program uses its own part of this room.
#![allow(dead_code)]

pub(crate) mod appliance;
pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod command;
pub(crate) mod engine;
pub(crate) mod folder;
pub(crate) mod handshake;
pub(crate) mod license;
pub(crate) mod not_tried;
pub(crate) mod settings;
pub(crate) mod stub;
pub(crate) mod untried;
pub(crate) mod wait;
