//! Counting seconds for the speech engine.

use super::Worker;
use crate::license::command::Reserved;
use crate::license::error::ApiError;
use crate::license::state::clock::Reading;
use crate::license::state::entitlement::Phase;
use crate::license::state::lease::{Next, Refusal, Reserve};
use crate::license::state::record::State;
use crate::license::state::usage_log;
use crate::license::state::usage_log::Entry;

impl Worker {
    /// Holds seconds; they are on disk as held before anybody may use them.
    pub(crate) fn reserve(
        &mut self,
        session: &str,
        seconds: u64,
        seq: Option<u64>,
    ) -> Result<Reserved, ApiError> {
        let reading = Reading::now();
        let standing = self.snapshot.snapshot().standing(&reading);
        let request = Reserve { session, seconds, seq };
        let next = match self.sessions.reserve(self.state.totals, self.epoch(), request) {
            Ok(next) if next.totals == self.state.totals => {
                return Ok(Reserved::Granted(next.seconds));
            }
            _ if !standing.licensed => {
                self.missed();
                return Ok(Reserved::Refused(standing.status.to_owned()));
            }
            Ok(next) => next,
            Err(Refusal::Exhausted) => {
                self.refill();
                self.missed();
                return Ok(Reserved::Refused("no seconds left".to_owned()));
            }
            Err(Refusal::TooManySessions) => {
                return Ok(Reserved::Refused("too many open sessions".to_owned()));
            }
        };
        self.take_over(&next, self.state.log, reading.boot)?;
        self.refill();
        Ok(Reserved::Granted(next.seconds))
    }

    /// Ends a session and charges what it used.
    pub(crate) fn charge(&mut self, session: &str, used: u64) -> Result<u64, ApiError> {
        let reading = Reading::now();
        let next = self.sessions.settle(self.state.totals, self.epoch(), session, used);
        if next.totals == self.state.totals {
            self.sessions.take_in(&next, reading.boot);
        } else {
            let entry = Entry {
                delta: next.seconds,
                total: next.totals.consumed,
                epoch: self.epoch(),
                boot: reading.boot,
            };
            let log = usage_log::append(&self.folder, self.state.log, entry).map_err(|error| {
                self.log.error(format_args!("the usage log: {error}"));
                ApiError::disk(&error)
            })?;
            self.take_over(&next, log, reading.boot)?;
        }
        self.refill();
        Ok(next.seconds)
    }

    /// Writes totals that have changed down. The sessions follow the state wherever that goes: a write that
    /// failed may be in force, and what it was about is asked again.
    fn take_over(&mut self, next: &Next, log: usage_log::Head, boot: u64) -> Result<(), ApiError> {
        let written = self.commit(State { totals: next.totals, log, ..self.state.clone() });
        if self.state.totals == next.totals {
            self.sessions.take_in(next, boot);
        }
        written
    }

    fn epoch(&self) -> u64 {
        self.state.epoch.unsigned_abs()
    }

    /// Asks for more before it runs out, unless there is no more, nobody answers, or the authority has
    /// heard already of all that was used.
    pub(crate) fn refill(&mut self) {
        let Some(grant) = &self.state.grant else { return };
        let cache = grant.lease.cache.unsigned_abs();
        let wanted = self.state.totals.allowed() < cache / 2
            && grant.lease.pool_left > 0
            && self.state.phase == Phase::Online
            && self.flight.is_none()
            && !self.schedule.is_waiting();
        if !wanted {
            return;
        }
        let ripe = self.sessions.ripen(self.state.totals, self.epoch());
        if ripe.totals != self.state.totals {
            let boot = Reading::now().boot;
            if self.take_over(&ripe, self.state.log, boot).is_err() {
                return;
            }
        }
        if self.told != self.state.totals.consumed {
            self.schedule.sync_now();
        }
    }
}
