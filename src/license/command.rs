//! What the worker can be asked to do, and where the outcome goes.

use std::sync::mpsc::Sender;

use serde_json::Value;

use super::client::transport::TransportError;
use super::error::ApiError;
use super::protocol::message::Answer;
use super::state::plan::Action;
use crate::security::Actor;

/// Receives the outcome of a command.
pub(crate) type Reply<T> = Sender<Result<T, ApiError>>;

/// What the worker waits for.
pub(crate) enum Event {
    Command(Command),
    /// The request in flight has ended.
    Response(Result<Answer, TransportError>),
    /// The probe has ended.
    ProbeResponse(Result<Answer, TransportError>),
}

/// A call of the management API or the speech engine.
pub(crate) enum Command {
    Perform(Job),
    SetProxy { body: Value, by: Actor, reply: Reply<Value> },
    Reserve { session: String, seconds: u64, seq: Option<u64>, reply: Reply<Reserved> },
    Settle { session: String, used: u64, reply: Reply<u64> },
    Refresh,
    Probe(Sender<()>),
}

/// What an administrator asked for, who it was, and where the answer goes.
pub(crate) struct Job {
    pub(crate) action: Action,
    pub(crate) by: Actor,
    pub(crate) reply: Reply<Value>,
}

/// The answer to a reservation of the speech engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// So many seconds, at most as many as it asked for.
    Granted(u64),
    /// No seconds, and why.
    Refused(String),
}
