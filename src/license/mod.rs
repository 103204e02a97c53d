//! The license: what appliance and authority say to each other.
//!
//! In: the shared formats. `hex` and `key` are bytes and keys; `token` is a signed statement, `claims`
//! what it states; `trust` decides whose signature counts; `message` is a question and its answer,
//! `wire` seals both for a plain network, `certificate` carries them by mail.
//! Out: sockets, files and clocks; what the vendor grants ([`crate::authority`]).

pub mod hex;

pub mod key;

pub mod token;

pub mod claims;

pub mod trust;

pub mod message;

pub mod wire;

pub mod certificate;

pub(crate) mod fields;

/// Begins every string that is signed or bound, so that no signature of ours fits elsewhere.
pub(crate) const PROTOCOL: &str = "appliance-license/1";
