//! One question and its answer: sealed, sent, opened. Changes nothing; what the answer means is the
//! worker's affair.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::device::Device;
use super::message::{Answer, Request};
use super::online::{Failure, Way};
use super::trust::Trust;
use super::wire::{self, OpenError, SealError, SealedRequest};

/// An answer that took longer is not believed, whatever it says: its time would be wrong, and somebody
/// may have held it back. The budgets of the call are far below; a machine may sleep in between.
const OLDEST: Duration = Duration::from_secs(120);

/// All that a question needs on its way.
pub(super) struct Errand {
    pub(super) request: Request,
    pub(super) trust: Trust,
    pub(super) device: Arc<Device>,
    pub(super) way: Way,
    /// Effective time, to choose among keys.
    pub(super) now: i64,
}

impl Errand {
    /// Asks, and waits for as long as [`Way::ask`] may take (twice, where keys have changed).
    pub(super) fn run(&self) -> Result<Answer, Failure> {
        let keys = self.trust.request_keys(self.now);
        let mut last =
            self.attempt(wire::seal(&self.request, &self.trust, self.now, &self.device.key));
        for key in keys.into_iter().skip(1) {
            if !matches!(&last, Err(Stuck::UnknownKey)) {
                break;
            }
            last = self.attempt(wire::seal_to(&self.request, key, &self.device.key));
        }
        last.map_err(|stuck| match stuck {
            Stuck::Failure(failure) => failure,
            Stuck::UnknownKey => Failure::answer(&OpenError::UnknownKey.to_string()),
        })
    }

    fn attempt(&self, sealed: Result<SealedRequest, SealError>) -> Result<Answer, Stuck> {
        let SealedRequest { body, opener, .. } = sealed.map_err(|error| {
            Stuck::Failure(Failure { in_doubt: false, ..Failure::answer(&error.to_string()) })
        })?;
        let sent = Instant::now();
        let reply = self.way.ask(&body).map_err(Stuck::Failure)?;
        if sent.elapsed() > OLDEST {
            return Err(Stuck::Failure(Failure::answer("it came too late")));
        }
        opener.open(&reply.body).map_err(|error| match error {
            OpenError::UnknownKey => Stuck::UnknownKey,
            OpenError::NotOurs => Stuck::Failure(self.way.not_ours(&reply)),
            other => Stuck::Failure(Failure::answer(&other.to_string())),
        })
    }
}

enum Stuck {
    Failure(Failure),
    UnknownKey,
}
