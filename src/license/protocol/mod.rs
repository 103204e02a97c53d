//! The protocol between the appliance and the license authority: keys, messages, certificates.
//!
//! It uses no socket, file or clock.

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

/// Begins every string that is signed or bound, so that a signature is not valid for another purpose.
pub(crate) const PROTOCOL: &str = "appliance-license/1";
