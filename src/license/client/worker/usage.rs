//! Reservations and settlements of the speech engine.

use super::Worker;
use crate::license::command::Reserved;
use crate::license::error::ApiError;
use crate::license::state::clock::ClockReading;
use crate::license::state::entitlement::Phase;
use crate::license::state::record::State;
use crate::license::state::sessions::{Reserve, ReserveError, Update};
use crate::license::state::usage_log;
use crate::license::state::usage_log::Entry;

impl Worker {
    /// Reserves seconds; the reservation is on disk before the engine may use them.
    pub(crate) fn reserve(
        &mut self,
        session: &str,
        seconds: u64,
        seq: Option<u64>,
    ) -> Result<Reserved, ApiError> {
        let reading = ClockReading::now();
        let entitlement = self.snapshot.snapshot().entitlement(&reading);
        let request = Reserve { session, seconds, seq };
        let next = match self.sessions.reserve(self.state.totals, self.epoch(), request) {
            Ok(next) if next.totals == self.state.totals => {
                return Ok(Reserved::Granted(next.seconds));
            }
            _ if !entitlement.licensed => {
                self.probe_if_recoverable();
                return Ok(Reserved::Refused(entitlement.status.to_owned()));
            }
            Ok(next) => next,
            Err(ReserveError::Exhausted) => {
                self.refill();
                self.probe_if_recoverable();
                return Ok(Reserved::Refused("no seconds left".to_owned()));
            }
            Err(ReserveError::TooManySessions) => {
                return Ok(Reserved::Refused("too many open sessions".to_owned()));
            }
        };
        self.commit_usage(&next, self.state.log, reading.boot)?;
        self.refill();
        Ok(Reserved::Granted(next.seconds))
    }

    /// Ends a session and charges what it used.
    pub(crate) fn charge(&mut self, session: &str, used: u64) -> Result<u64, ApiError> {
        let reading = ClockReading::now();
        let next = self.sessions.settle(self.state.totals, self.epoch(), session, used);
        if next.totals == self.state.totals {
            self.sessions.apply(&next, reading.boot);
        } else {
            let entry = Entry {
                delta: next.seconds,
                total: next.totals.consumed,
                epoch: self.epoch(),
                boot: reading.boot,
            };
            let log = usage_log::append(&self.folder, self.state.log, entry).map_err(|error| {
                self.log.error(format_args!("license usage log: {error}"));
                ApiError::disk(&error)
            })?;
            self.commit_usage(&next, log, reading.boot)?;
        }
        self.refill();
        Ok(next.seconds)
    }

    /// Saves changed totals. The sessions follow the state: a write that failed may still be in force, and
    /// the engine then repeats its request.
    fn commit_usage(
        &mut self,
        next: &Update,
        log: usage_log::Head,
        boot: u64,
    ) -> Result<(), ApiError> {
        let written = self.commit(State { totals: next.totals, log, ..self.state.clone() });
        if self.state.totals == next.totals {
            self.sessions.apply(next, boot);
        }
        written
    }

    fn epoch(&self) -> u64 {
        self.state.epoch.unsigned_abs()
    }

    /// Requests more seconds before they run out, unless none are left, a retry is delayed, or all usage
    /// is already reported.
    pub(crate) fn refill(&mut self) {
        let Some(grant) = &self.state.grant else { return };
        let cache = grant.lease.cache.unsigned_abs();
        let wanted = self.state.totals.allowed() < cache / 2
            && grant.lease.pool_left > 0
            && self.state.phase == Phase::Online
            && self.in_flight.is_none()
            && !self.schedule.is_backing_off();
        if !wanted {
            return;
        }
        let interim = self.sessions.charge_interim(self.state.totals, self.epoch());
        if interim.totals != self.state.totals {
            let boot = ClockReading::now().boot;
            if self.commit_usage(&interim, self.state.log, boot).is_err() {
                return;
            }
        }
        if self.reported_usage != self.state.totals.consumed {
            self.schedule.sync_now();
        }
    }
}
