//! Actions of an administrator: carries out their plans, and answers.

use std::fmt;

use serde_json::Value;

use super::MAX_QUEUED;
use super::Worker;
use crate::license::command::Job;
use crate::license::error::ApiError;
use crate::license::state::clock::ClockReading;
use crate::license::state::entitlement::{Entitlement, Phase};
use crate::license::state::plan;
use crate::license::state::plan::{Done, Failure, Next, Plan};
use crate::license::state::record::State;
use crate::license::state::sessions::Sessions;
use crate::license::state::transition::Outcome;
use crate::util::utc;

/// Largest difference, in seconds, between the appliance's clock and that of the license service that a slow
/// answer can explain.
const CLOCK_TOLERANCE: i64 = 600;

impl Worker {
    /// Performs an action, or lets it wait for the request in flight: it may change the state that the
    /// request relies on.
    pub(crate) fn perform_or_queue(&mut self, job: Job) {
        if self.in_flight.is_none() {
            if job.action.may_ask() {
                self.allow_retry();
            }
            let plan = plan::plan(&self.state, &job.action, &ClockReading::now());
            self.carry_out(plan, Some(job));
        } else if self.queued.len() < MAX_QUEUED {
            self.queued.push_back(job);
        } else {
            let _ = job.reply.send(Err(ApiError::busy()));
        }
    }

    /// Carries out a plan: what it saves is on disk before anything is sent or answered.
    pub(crate) fn carry_out(&mut self, plan: Result<Plan, ApiError>, job: Option<Job>) {
        let done = match plan {
            Ok(Plan::Answer(done)) => self.answer(done),
            Ok(Plan::Save { state, event, then }) => match self.commit(*state) {
                Ok(()) => {
                    self.saved(&event, job.as_ref());
                    return self.carry_out(Ok(*then), job);
                }
                Err(error) => Err(error),
            },
            Ok(Plan::Repeat(next)) => match self.state.pending.clone() {
                Some(pending) => return self.send(pending, None, next, job),
                None => Err(ApiError::busy()),
            },
            Ok(Plan::Ask { new, state, event, next }) => {
                return self.record_and_send(new, *state, &event, next, job);
            }
            Ok(Plan::Certify { new, state }) => {
                let plan = self.certify(new, *state);
                return self.carry_out(plan, job);
            }
            Ok(Plan::Verify { token, code }) => {
                let plan = self.verify(token, &code);
                return self.carry_out(plan, job);
            }
            Err(error) => Err(error),
        };
        if let Some(job) = job {
            let _ = job.reply.send(done);
        }
    }

    /// Goes on after the request of an action, or of a timer, has ended.
    pub(crate) fn finish(
        &mut self,
        job: Option<Job>,
        next: Next,
        result: Result<Outcome, Failure>,
    ) {
        let Some(job) = job else {
            if let Ok(Outcome::Denied { reason, message, .. }) = result {
                self.log.security(format_args!("license service refused ({reason}): {message}"));
            }
            return;
        };
        let licensed = self.entitlement.snapshot().licensed;
        let now = ClockReading::now();
        let plan = plan::after(&self.state, &job.action, next, result, licensed, &now);
        self.carry_out(plan, Some(job));
    }

    fn saved(&mut self, event: &str, job: Option<&Job>) {
        self.log_event(event, job);
        self.end_sessions();
        if self.state.phase == Phase::OfflineMode {
            self.error.clear();
            self.publish();
        }
    }

    /// Logs what an administrator did and who that was, whose name goes before a semicolon if there is one.
    pub(crate) fn log_event(&self, event: &str, job: Option<&Job>) {
        if let Some(Job { by, .. }) = job.filter(|_| !event.is_empty()) {
            let log = |event: fmt::Arguments<'_>| self.log.security_by(by.address(), event);
            match event.split_once(';') {
                Some((what, note)) => log(format_args!("{what} {by};{note}")),
                None => log(format_args!("{event} {by}")),
            }
        }
    }

    /// Forgets the sessions of a license that is returned: their reserved seconds were counted as used.
    pub(crate) fn end_sessions(&mut self) {
        if matches!(self.state.phase, Phase::Returning | Phase::Unlicensed) {
            self.sessions = Sessions::default();
        }
    }

    fn answer(&self, done: Done) -> Result<Value, ApiError> {
        match done {
            Done::Document => Ok(self.document()),
            Done::DocumentWith(message) => {
                let mut document = self.document();
                document["message"] = Value::from(message);
                Ok(document)
            }
            Done::IfInForce => self.document_if_in_force(),
            Done::IfCertificateInForce => {
                self.check_in_force(&self.state).map(|()| self.document())
            }
            Done::Body(body) => Ok(body),
        }
    }

    /// The status document, if the license is in force.
    fn document_if_in_force(&self) -> Result<Value, ApiError> {
        let entitlement = self.entitlement.snapshot();
        if entitlement.licensed {
            return Ok(self.document());
        }
        let (reason, hint) = not_in_force(&self.state, &entitlement, self.now());
        Err(ApiError::not_activated(reason, hint))
    }
}

/// Reason and hint for a license that was granted but is not in force.
fn not_in_force(state: &State, entitlement: &Entitlement, now: i64) -> (&'static str, String) {
    let reason = match entitlement.status.split(' ').next() {
        Some("-1") => "lease_expired",
        Some("-116") => "subscription_expired",
        _ => "not_in_force",
    };
    // The license service grants for the present; only the appliance's clock can be past the end.
    let clock_is_wrong =
        now.saturating_sub(state.last_contact) > CLOCK_TOLERANCE && state.last_contact > 0;
    let hint = if clock_is_wrong {
        format!(
            "{}; the appliance's clock says {}, and the license service said {}: set the clock",
            entitlement.message,
            utc::format(now),
            utc::format(state.last_contact)
        )
    } else {
        entitlement.message.clone()
    };
    (reason, hint)
}
