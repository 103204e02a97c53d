//! The license: what it allows now, and how the appliance and the license authority agree on it.
//!
//! | room | holds |
//! | --- | --- |
//! | [`protocol`] | keys, messages and certificates, shared with the authority; no socket, file or clock |
//! | `state` | the state, the entitlement and the seconds as pure functions, and their files |
//! | `device` | the device key, the computer id and the trust file |
//! | `client` | the worker, which owns the state and sends requests to the authority |
//!
//! Other modules use [`Handle`]. Out: what the vendor grants (`authority`), the form of answers
//! (`management`), refusing requests (the gate reads [`Entitlement`]).
//!
//! Silence of the authority changes nothing: a granted license holds until its signed dates, and only a
//! sealed and signed answer can withdraw it. Every change is on disk before it counts; a request is on
//! disk before it is sent, so that after a power cut the same request is sent again and answered the
//! same way.
//!
//! | file | holds |
//! | --- | --- |
//! | `license.json` | the state and the newest keys of the authority, sealed by the device |
//! | `license-usage.log` | one line per settled session, chained by hashes |
//! | `license-network.json` | the proxy |
//! | `device.key`, `identity.json` | the identity of this appliance |

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
pub(crate) use crate::license::state::plan::{Action, last_digits};
pub(crate) use crate::license::state::status::Standing;
pub(crate) use command::Reserved;
pub(crate) use handle::Handle;
pub(crate) use inspect::inspect;
