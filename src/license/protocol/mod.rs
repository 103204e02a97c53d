//! What the appliance and the license authority say to each other: keys, messages, certificates.
//!
//! No socket, no file and no clock: both sides, tests and fuzzers use it as it is.

pub mod certificate;
pub mod claims;
pub mod fields;
pub mod hex;
pub mod key;
pub mod message;
pub mod random;
pub mod token;
pub mod trust;
pub mod wire;

/// Begins every string that is signed or bound, so that no signature of ours fits elsewhere.
pub(crate) const PROTOCOL: &str = "appliance-license/1";
