//! One request and its answer: sealed, sent, opened. The worker applies the answer.

use std::sync::Arc;
use std::time::Instant;

use super::transport::{Route, TOTAL, TransportError};
use crate::license::device::Device;
use crate::license::protocol::fields;
use crate::license::protocol::message::{Answer, Request};
use crate::license::protocol::trust::Trust;
use crate::license::protocol::wire;
use crate::license::protocol::wire::{AnswerError, SealedRequest};
use crate::license::state::clock;

/// An answer that took more seconds is refused: its time would be wrong, and it may have been held back on
/// purpose. The time limit of the call is far shorter, but it does not count while the machine sleeps;
/// this one is measured by a clock that does.
const MAX_ANSWER_AGE: u64 = 120;

/// Everything that one request needs.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) trust: Trust,
    pub(crate) device: Arc<Device>,
    pub(crate) route: Route,
    /// The effective time, to choose a key.
    pub(crate) now: i64,
}

impl Call {
    /// Sends the request and waits at most 30 s in all, even if several keys have to be tried.
    pub(crate) fn run(&self) -> Result<Answer, TransportError> {
        self.run_with_clock(&clock::boottime)
    }

    /// Runs with `clock`, in seconds, in place of the machine's.
    fn run_with_clock(&self, clock: &impl Fn() -> u64) -> Result<Answer, TransportError> {
        let end = Instant::now() + TOTAL;
        let first = wire::seal(&self.request, &self.trust, self.now, &self.device.key);
        let mut last = self.attempt(first, end, clock);
        for key in self.trust.request_keys(self.now).into_iter().skip(1) {
            if !matches!(&last, Err(AttemptError::UnknownKey)) {
                break;
            }
            let next = wire::seal_to(&self.request, key, &self.device.key);
            // That answer is not authenticated: the service may have received the request.
            last = self.attempt(next, end, clock).map_err(AttemptError::maybe_delivered);
        }
        last.map_err(|error| match error {
            AttemptError::Transport(error) => error,
            AttemptError::UnknownKey => TransportError::invalid_answer(&AnswerError::UnknownKey),
        })
    }

    fn attempt(
        &self,
        sealed: Result<SealedRequest, fields::Error>,
        end: Instant,
        clock: &impl Fn() -> u64,
    ) -> Result<Answer, AttemptError> {
        let SealedRequest { body, opener, .. } = sealed.map_err(|error| {
            AttemptError::Transport(TransportError {
                maybe_delivered: false,
                ..TransportError::invalid_answer(error)
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
            other => AttemptError::Transport(TransportError::invalid_answer(&other)),
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
