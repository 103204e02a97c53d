//! What the worker can be asked to do, and where the outcome goes.

use std::sync::mpsc::Sender;

use serde_json::Value;

use super::client::transport::TransportError;
use super::error::ApiError;
use super::protocol::message::{Answer, User};
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
    Activate { code: String, user: User, by: Actor, reply: Reply<Value> },
    Remove { by: Actor, reply: Reply<u64> },
    RequestCertificate { code: String, user: User, by: Actor, reply: Reply<String> },
    ApplyCertificate { code: String, certificate: String, by: Actor, reply: Reply<Value> },
    ReturnCertificate { by: Actor, reply: Reply<Value> },
    SetOffline { offline: bool, by: Actor, reply: Reply<Value> },
    SetProxy { body: Value, by: Actor, reply: Reply<Value> },
    Reserve { session: String, seconds: u64, seq: Option<u64>, reply: Reply<Reserved> },
    Settle { session: String, used: u64, reply: Reply<u64> },
    Refresh,
    Probe(Sender<()>),
}

impl Command {
    /// Answers with an error.
    pub(crate) fn reject(self, error: ApiError) {
        match self {
            Command::Activate { reply, .. }
            | Command::ApplyCertificate { reply, .. }
            | Command::ReturnCertificate { reply, .. }
            | Command::SetOffline { reply, .. }
            | Command::SetProxy { reply, .. } => drop(reply.send(Err(error))),
            Command::RequestCertificate { reply, .. } => drop(reply.send(Err(error))),
            Command::Remove { reply, .. } | Command::Settle { reply, .. } => {
                drop(reply.send(Err(error)));
            }
            Command::Reserve { reply, .. } => drop(reply.send(Err(error))),
            Command::Refresh | Command::Probe(_) => {}
        }
    }
}

/// The answer to a reservation of the speech engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// So many seconds, at most as many as it asked for.
    Granted(u64),
    /// No seconds, and why.
    Refused(String),
}
