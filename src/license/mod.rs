//! The license: what it allows at this moment, and how the appliance and its authority agree on that.
//!
//! In: the formats that both sides share (`hex`, `key`, `token`, `claims`, `trust`, `message`, `wire`,
//! `certificate`, without sockets, files or clocks); judging and counting as pure functions
//! ([`entitlement`], [`lease`], [`clock`]); which computer this is (`computer_id`, `device`); one worker
//! that owns the state on disk and asks the authority ([`Handle`]).
//! Out: what the vendor grants (`authority`), how answers look (management), who is refused
//! (the gate reads [`Entitlement`]).
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

pub(crate) mod client;

pub(crate) mod device;

pub(crate) mod error;

pub mod protocol;

pub(crate) mod state;

mod inspect;

#[cfg(fuzzing)]
pub mod fuzz;

mod command;

mod handle;

pub(crate) use crate::license::client::worker::start;
pub(crate) use crate::license::device::computer_id::Machine;
pub(crate) use crate::license::device::trust_file::load as load_trust;
pub(crate) use crate::license::error::ApiError;
pub(crate) use crate::license::protocol::fields::normalize_code;
pub(crate) use crate::license::protocol::message::User as Applicant;
pub(crate) use crate::license::state::entitlement::Entitlement;
pub(crate) use command::Reserved;
pub(crate) use handle::Handle;
pub(crate) use inspect::inspect;
