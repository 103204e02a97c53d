//! One question and its answer: sealed, sent, opened. Changes nothing; what the answer means is the
//! worker's affair.

use std::sync::Arc;
use std::time::Instant;

use super::transport::{Route, TOTAL, TransportError};
use crate::license::device::Device;
use crate::license::protocol::message::{Answer, Request};
use crate::license::protocol::trust::Trust;
use crate::license::protocol::wire;
use crate::license::protocol::wire::{AnswerError, SealError, SealedRequest};
use crate::license::state::clock;

/// An answer that took more seconds is not believed, whatever it says: its time would be wrong, and
/// somebody may have held it back. The budget of the call is far below, but does not run while the
/// machine sleeps, so this is measured by a clock that does.
const MAX_ANSWER_AGE: u64 = 120;

/// All that a question needs on its way.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) trust: Trust,
    pub(crate) device: Arc<Device>,
    pub(crate) route: Route,
    /// Effective time, to choose among keys.
    pub(crate) now: i64,
}

impl Call {
    /// Asks, and waits at most 30 s, however many keys have to be tried.
    pub(crate) fn run(&self) -> Result<Answer, TransportError> {
        self.run_with_clock(&clock::boottime)
    }

    /// The same by another clock, in seconds.
    fn run_with_clock(&self, clock: &impl Fn() -> u64) -> Result<Answer, TransportError> {
        let end = Instant::now() + TOTAL;
        let first = wire::seal(&self.request, &self.trust, self.now, &self.device.key);
        let mut last = self.attempt(first, end, clock);
        for key in self.trust.request_keys(self.now).into_iter().skip(1) {
            if !matches!(&last, Err(AttemptError::UnknownKey)) {
                break;
            }
            let next = wire::seal_to(&self.request, key, &self.device.key);
            // Anybody may have said that the key is unknown, after he passed the question on.
            last = self.attempt(next, end, clock).map_err(AttemptError::maybe_delivered);
        }
        last.map_err(|error| match error {
            AttemptError::Transport(error) => error,
            AttemptError::UnknownKey => {
                TransportError::invalid_answer(&AnswerError::UnknownKey.to_string())
            }
        })
    }

    fn attempt(
        &self,
        sealed: Result<SealedRequest, SealError>,
        end: Instant,
        clock: &impl Fn() -> u64,
    ) -> Result<Answer, AttemptError> {
        let SealedRequest { body, opener, .. } = sealed.map_err(|error| {
            AttemptError::Transport(TransportError {
                maybe_delivered: false,
                ..TransportError::invalid_answer(&error.to_string())
            })
        })?;
        let sent = clock();
        let budget = end.saturating_duration_since(Instant::now());
        let reply = self.route.ask(&body, budget).map_err(AttemptError::Transport)?;
        if clock().saturating_sub(sent) > MAX_ANSWER_AGE {
            return Err(AttemptError::Transport(TransportError::invalid_answer(
                "it came too late",
            )));
        }
        opener.open(&reply.body).map_err(|error| match error {
            AnswerError::UnknownKey => AttemptError::UnknownKey,
            AnswerError::WrongServer => AttemptError::Transport(self.route.wrong_server(&reply)),
            other => AttemptError::Transport(TransportError::invalid_answer(&other.to_string())),
        })
    }
}

enum AttemptError {
    Transport(TransportError),
    UnknownKey,
}

impl AttemptError {
    fn maybe_delivered(self) -> AttemptError {
        match self {
            AttemptError::Transport(error) => {
                AttemptError::Transport(TransportError { maybe_delivered: true, ..error })
            }
            AttemptError::UnknownKey => AttemptError::UnknownKey,
        }
    }
}

#[cfg(test)]
mod tests;
