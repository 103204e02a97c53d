//! The license: what it allows at this moment, and how the appliance and its authority agree on that.
//!
//! In: the formats that both sides share (`hex`, `key`, `token`, `claims`, `trust`, `message`, `wire`,
//! `certificate`, without sockets, files or clocks); judging and counting as pure functions
//! ([`standing`], [`lease`], [`clock`]); which computer this is (`computer_id`, `device`); one worker
//! that owns the state on disk and asks the authority ([`Handle`]).
//! Out: what the vendor grants ([`crate::authority`]), how answers look (management), who is refused
//! (the gate reads [`Standing`]).
//!
//! Silence is never an answer: a license that was granted holds until its signed dates, and only an
//! answer that the authority sealed and signed can take it away. Every change is on disk before it
//! counts; a question is on disk before it is sent, so that after a power cut the same question is
//! asked again and answered the same way.
//!
//! | file | holds |
//! | --- | --- |
//! | `license.json` | the state and the newest keys of the authority, with a seal of the device over it |
//! | `license-usage.log` | one line per settled session, chained by hashes |
//! | `license-network.json` | the proxy |
//! | `device.key`, `identity.json` | who this appliance is |

pub mod hex;

pub mod key;

pub mod token;

pub mod claims;

pub mod trust;

pub mod message;

pub mod wire;

pub mod certificate;

pub(crate) mod fields;

pub mod clock;

pub mod computer_id;

mod device;

pub mod lease;

pub mod standing;

mod fault;

pub mod network;

pub mod online;

mod exchange;

mod record;

mod usage_log;

mod status;

mod question;

mod transition;

mod trust_file;

mod worker;

mod inspect;

#[cfg(fuzzing)]
pub mod fuzz;

mod handle;

pub use computer_id::Machine;
pub use fault::{Fault, Kind as FaultKind};
pub(crate) use fields::typed_code;
pub use handle::{Handle, Reserved, start};
pub use inspect::{Inspection, inspect};
pub use message::User as Applicant;
pub use standing::Standing;
pub use trust_file::load as load_trust;

#[cfg(test)]
mod model;

/// Begins every string that is signed or bound, so that no signature of ours fits elsewhere.
pub(crate) const PROTOCOL: &str = "appliance-license/1";
