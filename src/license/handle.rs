//! The interface of the license for other modules: snapshots to read, and commands to the worker.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::proxy::Proxy;
use super::command::{Command, Event, Job, Reply, Reserved};
use super::error::ApiError;
use super::protocol::fields;
use crate::license::state::clock::ClockReading;
use crate::license::state::entitlement::Entitlement;
use crate::license::state::plan::Action;
use crate::license::state::sessions::Totals;
use crate::license::state::status::{Snapshot, Standing};
use crate::security::Actor;
use crate::util::published::Published;
use crate::util::utc;

/// Longest wait of a call for the worker: two requests to the authority and a margin.
const WAIT: Duration = Duration::from_secs(75);

/// An attempt to reach the authority that is more recent than this, successful or not, is not repeated
/// for a reader of the status.
pub(crate) const FRESH: Duration = Duration::from_secs(10);

/// Longest wait of the status for a probe of the authority.
const PROBE: Duration = Duration::from_millis(1_800);

/// A handle of the license worker; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) events: Sender<Event>,
    pub(crate) snapshot: Arc<Published<Snapshot>>,
    pub(crate) entitlement: Arc<Published<Entitlement>>,
    pub(crate) proxy: Arc<Published<Result<Option<Proxy>, fields::Error>>>,
}

impl Handle {
    /// The entitlement, which the gate reads for every request.
    pub(crate) fn entitlement(&self) -> &Arc<Published<Entitlement>> {
        &self.entitlement
    }

    /// The status document. Probes the authority if the last attempt, successful or not, is old, and
    /// waits for it less than 2 s in all; no other reader waits for the network.
    pub(crate) fn status(&self) -> Value {
        self.probe_if_stale();
        self.snapshot.snapshot().document(&ClockReading::now())
    }

    /// When the license has to be renewed, in seconds since 1970; `None` without a license. Does not probe the
    /// authority.
    pub(crate) fn lease_end(&self) -> Option<i64> {
        let document = self.snapshot.snapshot().document(&ClockReading::now());
        let end = document["subscription_expiry"].as_str().and_then(utc::parse);
        end.filter(|end| *end > 0)
    }

    /// What prevents transcription, as messages; empty if nothing does. Does not probe the authority.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.snapshot.snapshot().errors(&ClockReading::now())
    }

    /// The license in numbers. Does not probe the authority.
    pub(crate) fn standing(&self) -> Standing {
        self.snapshot.snapshot().standing(&ClockReading::now())
    }

    /// The totals of usage, as a line of text.
    pub(crate) fn usage(&self) -> String {
        let Totals { granted, consumed, held } = self.snapshot.snapshot().usage();
        format!("seconds of speech: {granted} granted, {consumed} used, {held} reserved\n")
    }

    /// `{"offline": …}` and the status document.
    pub(crate) fn offline_status(&self) -> Value {
        let document = self.status();
        self.with_offline(document)
    }

    fn with_offline(&self, document: Value) -> Value {
        let mut all = serde_json::json!({"offline": self.snapshot.snapshot().is_offline()});
        if let (Some(all), Value::Object(members)) = (all.as_object_mut(), document) {
            all.extend(members);
        }
        all
    }

    fn probe_if_stale(&self) {
        let seen = self.snapshot.snapshot();
        let fresh = seen.contact.last_attempt.is_some_and(|tried| tried.elapsed() < FRESH);
        // A request that has been running for that long will not end within the wait.
        let hopeless = seen.contact.in_progress_since.is_some_and(|since| since.elapsed() > PROBE);
        if fresh || hopeless || seen.is_silent {
            return;
        }
        let begin = Instant::now();
        let (waiter, answered) = mpsc::channel();
        if self.events.send(Event::Command(Command::Probe(waiter))).is_ok() {
            let _ = answered.recv_timeout(PROBE.saturating_sub(begin.elapsed()));
        }
    }

    /// Performs an action of the administrator `by`.
    ///
    /// # Errors
    /// With a text of ML-34 to ML-39, or one in their manner.
    pub(crate) fn perform(&self, action: Action, by: Actor) -> Result<Value, ApiError> {
        self.ask(|reply| Command::Perform(Job { action, by, reply }))
    }

    /// Enters or leaves offline mode.
    ///
    /// # Errors
    /// With a text of ML-34 to ML-39, or one in their manner.
    pub(crate) fn set_offline(&self, offline: bool, by: Actor) -> Result<Value, ApiError> {
        let action = if offline { Action::EnterOfflineMode } else { Action::LeaveOfflineMode };
        self.perform(action, by).map(|document| self.with_offline(document))
    }

    /// The proxy in use.
    ///
    /// # Errors
    /// When its file can't be used.
    pub(crate) fn proxy(&self) -> Result<Option<Proxy>, ApiError> {
        (*self.proxy.snapshot()).clone().map_err(|error| {
            ApiError::internal(
                "storage",
                error.to_string(),
                "set the proxy again with POST license/network",
            )
        })
    }

    /// Sets the proxy that the body names (ML-16), and answers as GET does.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub(crate) fn set_proxy(&self, body: Value, by: Actor) -> Result<Value, ApiError> {
        self.ask(|reply| Command::SetProxy { body, by, reply })
    }

    /// Requests changes of the license from the authority, if online; does not wait for them.
    pub(crate) fn refresh(&self) {
        let _ = self.events.send(Event::Command(Command::Refresh));
    }

    /// Reserves seconds for a session of the speech engine; the reservation is on disk before this returns.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn reserve(
        &self,
        session: String,
        seconds: u64,
        seq: Option<u64>,
    ) -> Result<Reserved, ApiError> {
        self.ask(|reply| Command::Reserve { session, seconds, seq, reply })
    }

    /// Ends a session, and answers the seconds charged.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn settle(&self, session: String, used: u64) -> Result<u64, ApiError> {
        self.ask(|reply| Command::Settle { session, used, reply })
    }

    fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, ApiError> {
        let (reply, answer) = mpsc::channel();
        self.events.send(Event::Command(command(reply))).map_err(|_| ApiError::busy())?;
        answer.recv_timeout(WAIT).unwrap_or_else(|_| Err(ApiError::busy()))
    }
}
