//! One question and its answer: sealed, sent, opened. Changes nothing; what the answer means is the
//! worker's affair.

use std::sync::Arc;
use std::time::Instant;

use super::online::{Failure, TOTAL, Way};
use crate::license::device::Device;
use crate::license::protocol::message::{Answer, Request};
use crate::license::protocol::trust::Trust;
use crate::license::protocol::wire;
use crate::license::protocol::wire::{AnswerError, SealError, SealedRequest};
use crate::license::state::clock;

/// An answer that took more seconds is not believed, whatever it says: its time would be wrong, and
/// somebody may have held it back. The budget of the call is far below, but does not run while the
/// machine sleeps, so this is measured by a clock that does.
const OLDEST: u64 = 120;

/// All that a question needs on its way.
pub(crate) struct Errand {
    pub(crate) request: Request,
    pub(crate) trust: Trust,
    pub(crate) device: Arc<Device>,
    pub(crate) way: Way,
    /// Effective time, to choose among keys.
    pub(crate) now: i64,
}

impl Errand {
    /// Asks, and waits at most 30 s, however many keys have to be tried.
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        self.run_by(&clock::boottime)
    }

    /// The same by another clock, in seconds.
    fn run_by(&self, clock: &impl Fn() -> u64) -> Result<Answer, Failure> {
        let end = Instant::now() + TOTAL;
        let first = wire::seal(&self.request, &self.trust, self.now, &self.device.key);
        let mut last = self.attempt(first, end, clock);
        for key in self.trust.request_keys(self.now).into_iter().skip(1) {
            if !matches!(&last, Err(Stuck::UnknownKey)) {
                break;
            }
            let next = wire::seal_to(&self.request, key, &self.device.key);
            // Anybody may have said that the key is unknown, after he passed the question on.
            last = self.attempt(next, end, clock).map_err(Stuck::in_doubt);
        }
        last.map_err(|stuck| match stuck {
            Stuck::Failure(failure) => failure,
            Stuck::UnknownKey => Failure::answer(&AnswerError::UnknownKey.to_string()),
        })
    }

    fn attempt(
        &self,
        sealed: Result<SealedRequest, SealError>,
        end: Instant,
        clock: &impl Fn() -> u64,
    ) -> Result<Answer, Stuck> {
        let SealedRequest { body, opener, .. } = sealed.map_err(|error| {
            Stuck::Failure(Failure { in_doubt: false, ..Failure::answer(&error.to_string()) })
        })?;
        let sent = clock();
        let budget = end.saturating_duration_since(Instant::now());
        let reply = self.way.ask(&body, budget).map_err(Stuck::Failure)?;
        if clock().saturating_sub(sent) > OLDEST {
            return Err(Stuck::Failure(Failure::answer("it came too late")));
        }
        opener.open(&reply.body).map_err(|error| match error {
            AnswerError::UnknownKey => Stuck::UnknownKey,
            AnswerError::WrongServer => Stuck::Failure(self.way.not_ours(&reply)),
            other => Stuck::Failure(Failure::answer(&other.to_string())),
        })
    }
}

enum Stuck {
    Failure(Failure),
    UnknownKey,
}

impl Stuck {
    fn in_doubt(self) -> Stuck {
        match self {
            Stuck::Failure(failure) => Stuck::Failure(Failure { in_doubt: true, ..failure }),
            Stuck::UnknownKey => Stuck::UnknownKey,
        }
    }
}

#[cfg(test)]
mod tests;
