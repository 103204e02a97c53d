//! Requests to the authority: saved, sent, and their answers applied.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::SystemTime;

use super::Worker;
use crate::license::client::call::Call;
use crate::license::client::request_context::RequestContext;
use crate::license::client::transport::{ErrorKind, Route, TransportError};
use crate::license::command::{Event, Job};
use crate::license::error::ApiError;
use crate::license::handle::FRESH;
use crate::license::protocol::hex::RequestId;
use crate::license::protocol::message::{Answer, Mode, Op, Request, User};
use crate::license::protocol::trust::Acceptance;
use crate::license::state::clock::{BootInstant, ClockReading, boottime};
use crate::license::state::entitlement::Phase;
use crate::license::state::plan;
use crate::license::state::plan::{Action, Failure, NewRequest, Next, last_digits};
use crate::license::state::record::State;
use crate::license::state::transition;
use crate::license::state::transition::{Identity, Outcome};
use crate::util::utc;

/// The request that was sent and is not answered yet.
pub(crate) struct InFlight {
    request: Request,
    /// When it was sent, in seconds since the machine started.
    sent_at: u64,
    /// The state to restore if it is certain that the request was not delivered.
    before: Option<State>,
    /// The action that it was sent for; `None` for a timer.
    job: Option<Job>,
    next: Next,
}

impl Worker {
    /// Sends the pending request or a sync, if one is due.
    pub(crate) fn send_due(&mut self) {
        if self.in_flight.is_some() || !self.schedule.is_due() {
            return;
        }
        let can_send = !self.state.phase.is_offline()
            && (self.state.pending.is_some() || self.is_refreshable())
            && self.proxy_rejection().is_none()
            && self.trust.is_ok();
        if !can_send {
            return self.schedule.reset();
        }
        self.carry_out(Ok(plan::sync(&self.state, Mode::Online)), None);
    }

    /// Whether there is a license that the authority keeps up to date.
    fn is_refreshable(&self) -> bool {
        matches!(self.state.phase, Phase::Online | Phase::Refused(-5 | -114 | -116))
    }

    /// Whether there is a license that allows no transcription now, but may after the next answer.
    fn may_recover(&self) -> bool {
        self.is_refreshable() && !self.entitlement.snapshot().may_transcribe
    }

    /// Creates a request, saves it as the pending one in `state`, and sends it.
    pub(crate) fn record_and_send(
        &mut self,
        new: NewRequest,
        mut state: State,
        event: &str,
        next: Next,
        job: Option<Job>,
    ) {
        let before = self.state.clone();
        let written = self.new_request(new, &state).and_then(|request| {
            state.pending = Some(request.clone());
            self.commit(state).map(|()| request)
        });
        match written {
            Ok(request) => {
                self.log_event(event, job.as_ref());
                self.send(request, Some(before), next, job);
                self.end_sessions();
            }
            Err(error) => self.finish(job, next, Err(Failure { unreachable: false, error })),
        }
    }

    /// Creates a request from the state.
    pub(crate) fn new_request(&self, new: NewRequest, state: &State) -> Result<Request, ApiError> {
        let NewRequest { op, code, mode, user } = new;
        let trust = self.trust.as_ref().map_err(trust_error)?;
        let context = RequestContext {
            product: &self.settings.product,
            version: &self.version,
            computer_id: &self.device.computer_id,
            bundle_seq: trust.bundle().seq,
            wall: utc::unix_seconds(SystemTime::now()),
        };
        let id = RequestId::random().map_err(|error| {
            ApiError::internal("storage", error.to_string(), "restart the appliance")
        })?;
        Ok(Request { user, ..context.request(id, op, &code, mode, state) })
    }

    /// Sends a request that is on disk.
    pub(crate) fn send(
        &mut self,
        request: Request,
        before: Option<State>,
        next: Next,
        job: Option<Job>,
    ) {
        let sent_at = boottime();
        match self.spawn_call(&request, Event::Response) {
            Ok(()) => {
                self.in_progress_since = Some(BootInstant::now());
                self.in_flight = Some(InFlight { request, sent_at, before, job, next });
                self.publish();
            }
            Err(error) => {
                self.schedule.on_failure(self.may_recover());
                if let Some(before) = before {
                    let _ = self.commit(before);
                }
                self.finish(job, next, Err(Failure { unreachable: false, error }));
            }
        }
    }

    /// Starts a thread for one request.
    fn spawn_call(
        &self,
        request: &Request,
        event: fn(Result<Answer, TransportError>) -> Event,
    ) -> Result<(), ApiError> {
        let trust = self.trust.as_ref().map_err(trust_error)?;
        let proxy = (*self.proxy.snapshot()).clone().map_err(|error| {
            ApiError::internal(
                "storage",
                error.to_string(),
                "set the proxy again with POST license/network",
            )
        })?;
        let call = Call {
            request: request.clone(),
            trust: trust.clone(),
            device: self.device.clone(),
            route: Route { authority_url: self.settings.authority_url.clone(), proxy },
            now: self.now(),
        };
        let events = self.events.clone();
        let started = thread::Builder::new().name("license-call".to_owned()).spawn(move || {
            // After a panic too, the worker needs an outcome.
            let outcome = catch_unwind(AssertUnwindSafe(|| call.run()));
            let _ = events.send(event(outcome.unwrap_or_else(|_| Err(call_panicked()))));
        });
        started.map(drop).map_err(|error| {
            self.log.error(format_args!("cannot start a thread for a license call: {error}"));
            ApiError::busy()
        })
    }

    /// Handles the end of the request in flight.
    pub(crate) fn on_response(&mut self, result: Result<Answer, TransportError>) {
        let Some(InFlight { request, sent_at, before, job, next }) = self.in_flight.take() else {
            return;
        };
        self.in_progress_since = None;
        self.last_attempt = Some(BootInstant::now());
        let op = request.op;
        let result = match result {
            Ok(answer) => self.apply_answer(&request, sent_at, &answer),
            Err(error) => Err(CallError::Transport(error)),
        };
        match &result {
            Ok(outcome) => {
                self.error.clear();
                if op == Op::Activate && *outcome == Outcome::Granted {
                    let code = last_digits(&request.license);
                    self.log.security(format_args!("license …{code} activated"));
                }
                match outcome {
                    // The request was superseded, but its purpose was not fulfilled.
                    Outcome::Stale => self.schedule.sync_now(),
                    _ => self.schedule.on_answer(self.may_recover()),
                }
            }
            Err(CallError::Transport(error)) => {
                self.log.warn(format_args!("license service: {}", error.message));
                self.error.clone_from(&error.message);
                self.schedule.on_failure(self.may_recover());
                if error.kind == ErrorKind::InvalidAnswer {
                    self.schedule.back_off();
                }
                self.remember_rejection(error);
                if let Some(before) = before.filter(|_| !error.maybe_delivered) {
                    let _ = self.commit(transition::not_delivered(&self.state, before));
                }
            }
            Err(CallError::Storage(_)) => self.schedule.on_failure(self.may_recover()),
        }
        self.publish();
        self.notify_waiters();
        let result = result.map_err(|error| failure(error, op, job.as_ref()));
        self.finish(job, next, result);
        while self.in_flight.is_none() {
            match self.queued.pop_front() {
                Some(job) => self.perform_or_queue(job),
                None => break,
            }
        }
        self.refill();
    }

    /// Applies an answer to the state, or says why it is not acceptable.
    fn apply_answer(
        &mut self,
        request: &Request,
        sent_at: u64,
        answer: &Answer,
    ) -> Result<Outcome, CallError> {
        self.accept_bundle(answer);
        let trust = self
            .trust
            .as_ref()
            .map_err(|error| CallError::Transport(TransportError::invalid_answer(error)))?;
        let who = Identity {
            computer_id: &request.computer_id,
            device: self.device.key.public().fingerprint(),
        };
        let (next, outcome) = transition::on_answer(
            &self.state,
            request,
            answer,
            who,
            trust,
            sent_at,
            &ClockReading::now(),
        )
        .map_err(|error| CallError::Transport(TransportError::invalid_answer(&error)))?;
        let new_epoch = next.epoch != self.state.epoch;
        self.commit(next).map_err(CallError::Storage)?;
        self.reported_usage = if new_epoch { 0 } else { request.consumed.unsigned_abs() };
        self.last_answer = Some(BootInstant::now());
        Ok(outcome)
    }

    fn accept_bundle(&mut self, answer: &Answer) {
        let (Ok(trust), Some(bundle)) = (&mut self.trust, &answer.bundle) else { return };
        match trust.accept(bundle) {
            Ok(Acceptance::Newer) => {
                self.log.info("newer keys of the license authority accepted");
                self.persist();
            }
            Ok(Acceptance::NotNewer) => {}
            Err(error) => {
                self.log.warn(format_args!("keys of the license authority refused: {error}"));
            }
        }
    }

    /// Probes the authority. A request that is already in flight serves as well, and so does its failure.
    pub(crate) fn probe(&mut self, waiter: Option<Sender<()>>) {
        if self.state.phase.is_offline() || self.proxy_rejection().is_some() {
            return;
        }
        if self.in_flight.is_some() || self.probe.is_some() {
            self.probe_waiters.extend(waiter);
            return;
        }
        let (op, code) = (Op::Probe, plan::code(&self.state));
        let new = NewRequest { op, code, mode: Mode::Online, user: User::default() };
        let request = self.new_request(new, &self.state);
        let sent_at = boottime();
        if request.and_then(|request| self.spawn_call(&request, Event::ProbeResponse)).is_ok() {
            self.probe = Some(sent_at);
            self.probe_waiters.extend(waiter);
            self.in_progress_since.get_or_insert_with(BootInstant::now);
            self.publish();
        }
    }

    /// Probes the authority after a reservation that the license did not allow.
    pub(crate) fn probe_if_recoverable(&mut self) {
        let just_tried = self.last_attempt.is_some_and(|tried| tried.elapsed() < FRESH);
        if self.may_recover() && !just_tried {
            self.probe(None);
        }
    }

    /// Handles the end of the probe.
    pub(crate) fn on_probe_response(&mut self, result: Result<Answer, TransportError>) {
        let Some(sent_at) = self.probe.take() else { return };
        if self.in_flight.is_none() {
            self.in_progress_since = None;
        }
        self.last_attempt = Some(BootInstant::now());
        match result {
            Ok(answer) => {
                self.accept_bundle(&answer);
                self.last_answer = Some(BootInstant::now());
                self.error.clear();
                self.state.clock.correct(answer.server_time, sent_at, &ClockReading::now());
                self.state.last_contact = answer.server_time;
                self.publish();
                if self.state.pending.is_some() || self.may_recover() {
                    self.schedule.service_reachable();
                }
            }
            Err(error) => {
                self.remember_rejection(&error);
                self.error = error.message;
            }
        }
        self.publish();
        self.notify_waiters();
    }

    fn notify_waiters(&mut self) {
        for waiter in self.probe_waiters.drain(..) {
            let _ = waiter.send(());
        }
    }
}

/// Why a request failed.
pub(crate) enum CallError {
    Transport(TransportError),
    Storage(ApiError),
}

/// The failure of a request with `op`, as the administrator reads it (ML-35, ML-39).
fn failure(error: CallError, op: Op, job: Option<&Job>) -> Failure {
    let error = match error {
        CallError::Storage(error) => return Failure { unreachable: false, error },
        CallError::Transport(error) => error,
    };
    let activates = matches!(job, Some(Job { action: Action::Activate { .. }, .. }));
    let retried = op == Op::Activate && error.maybe_delivered && error.rejected_by.is_none();
    let retried = if activates && retried { "; it is retried automatically" } else { "" };
    let (reason, message) = (error.kind.name(), format!("{}{retried}", error.message));
    let error = if activates && error.kind != ErrorKind::Blocked {
        ApiError::offline(reason, message)
    } else {
        ApiError::blocked(reason, message)
    };
    Failure { unreachable: true, error }
}

pub(crate) fn trust_error(why: &impl Display) -> ApiError {
    ApiError::internal(
        "trust_file",
        format!("The license authority's keys are not usable: {why}"),
        "the trust file is part of the image; contact its vendor",
    )
}

/// The outcome of a call that panicked.
fn call_panicked() -> TransportError {
    let message =
        "the license call ended with an internal error (panic); it is retried automatically";
    TransportError {
        kind: ErrorKind::Interrupted,
        message: message.to_owned(),
        maybe_delivered: true,
        rejected_by: None,
    }
}
