//! Questions to the authority: written down, sent, and what comes of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::SystemTime;

use serde_json::Value;

use super::Worker;
use crate::license::client::exchange::Errand;
use crate::license::client::online::{Failure, Hop, Way};
use crate::license::client::question::Asker;
use crate::license::command::{Command, Event, Reply};
use crate::license::error::ApiError;
use crate::license::handle::FRESH;
use crate::license::protocol::hex::RequestId;
use crate::license::protocol::message::{Answer, Mode, Op, Request, User};
use crate::license::state::clock::{Moment, Reading, boottime};
use crate::license::state::entitlement::Phase;
use crate::license::state::record::State;
use crate::license::state::transition;
use crate::license::state::transition::{Identity, Outcome};
use crate::security::Actor;
use crate::util::utc;

/// The question that is on its way.
pub(crate) struct Flight {
    request: Request,
    /// When it was asked, in seconds of this start of the machine.
    asked: u64,
    /// The state to go back to if it is certain that nobody heard the question.
    before: Option<State>,
    purpose: Purpose,
}

/// Who waits for the answer.
pub(crate) enum Purpose {
    Activate(Reply<Value>),
    Return(Reply<u64>),
    GoOffline(Reply<Value>),
    /// The license that is here is applied again.
    Sync(Reply<Value>),
    /// Offline mode was left.
    GoOnline(Reply<Value>),
    /// An activation that nobody confirmed is to go: given back if it is confirmed now, else dropped.
    Drop {
        by: Actor,
        reply: Reply<u64>,
    },
    /// First things first: an older question, and then this.
    Then(Command),
    /// The same, and offline also if nobody answers.
    ThenOffline(Reply<Value>),
    Nobody,
}

impl Worker {
    /// An unanswered question first, then what is to be refreshed.
    pub(crate) fn ask_what_is_due(&mut self) {
        if self.flight.is_some() || !self.schedule.is_due() {
            return;
        }
        let asks = !self.state.phase.is_offline()
            && (self.state.pending.is_some() || self.refreshes())
            && self.refusal().is_none()
            && self.trust.is_ok();
        if !asks {
            return self.schedule.rest();
        }
        self.ask_first_pending(Mode::Online, Purpose::Nobody);
    }

    /// Whether there is a license that the authority keeps up to date.
    fn refreshes(&self) -> bool {
        matches!(self.state.phase, Phase::Online | Phase::Refused(-5 | -114 | -116))
    }

    /// Whether there is one that allows no work at present, which its next answer may change.
    fn may_come_back(&self) -> bool {
        self.refreshes() && !self.standing.snapshot().may_transcribe
    }

    /// Asks for what may be had; a question that is still unanswered takes its place.
    pub(crate) fn ask_first_pending(&mut self, mode: Mode, purpose: Purpose) {
        match self.state.pending.clone() {
            Some(pending) => self.send(pending, None, purpose),
            None => self.ask_anew(Op::Sync, mode, purpose),
        }
    }

    /// Makes a question about the license there is, writes it down and sends it.
    pub(crate) fn ask_anew(&mut self, op: Op, mode: Mode, purpose: Purpose) {
        let code = self.state.grant.as_ref().map(|grant| grant.lease.license.clone());
        let next = self.state.clone();
        self.ask(op, &code.unwrap_or_default(), mode, User::default(), next, purpose);
    }

    /// The same for any code; `next` is the state while the answer is awaited.
    pub(crate) fn ask(
        &mut self,
        op: Op,
        code: &str,
        mode: Mode,
        user: User,
        mut next: State,
        purpose: Purpose,
    ) {
        let before = self.state.clone();
        let written = self.question(op, code, mode, user, &next).and_then(|request| {
            next.pending = Some(request.clone());
            self.commit(next).map(|()| request)
        });
        match written {
            Ok(request) => self.send(request, Some(before), purpose),
            Err(fault) => self.finish(purpose, Err(Stuck::Disk(fault))),
        }
    }

    /// A question with all that the authority wants to know.
    pub(crate) fn question(
        &self,
        op: Op,
        code: &str,
        mode: Mode,
        user: User,
        state: &State,
    ) -> Result<Request, ApiError> {
        let trust = self.trust.as_ref().map_err(|why| no_trust(why))?;
        let asker = Asker {
            product: &self.settings.product,
            version: &self.version,
            computer_id: &self.device.computer_id,
            bundle_seq: trust.bundle().seq,
            wall: utc::unix_seconds(SystemTime::now()),
        };
        let id = RequestId::random().map_err(|broken| {
            ApiError::internal("storage", broken.to_string(), "restart the appliance")
        })?;
        Ok(Request { user, ..asker.question(id, op, code, mode, state) })
    }

    /// Sends a question that is on disk.
    pub(crate) fn send(&mut self, request: Request, before: Option<State>, purpose: Purpose) {
        let asked = boottime();
        match self.carry(&request, Event::Heard) {
            Ok(()) => {
                self.asking_since = Some(Moment::now());
                self.flight = Some(Flight { request, asked, before, purpose });
                self.publish();
            }
            Err(fault) => {
                self.schedule.failed(self.may_come_back());
                if let Some(before) = before {
                    let _ = self.commit(before);
                }
                self.finish(purpose, Err(Stuck::Disk(fault)));
            }
        }
    }

    /// A thread for one question.
    fn carry(
        &self,
        request: &Request,
        event: fn(Result<Answer, Failure>) -> Event,
    ) -> Result<(), ApiError> {
        let trust = self.trust.as_ref().map_err(|why| no_trust(why))?;
        let proxy = (*self.proxy.snapshot()).clone().map_err(|why| {
            ApiError::internal("storage", why, "set the proxy again with POST license/network")
        })?;
        let errand = Errand {
            request: request.clone(),
            trust: trust.clone(),
            device: self.device.clone(),
            way: Way { authority_url: self.settings.authority_url.clone(), proxy },
            now: self.now(),
        };
        let events = self.events.clone();
        let started = thread::Builder::new().name("license-call".to_owned()).spawn(move || {
            // Whoever waits for the outcome would wait for ever if there were none.
            let outcome = catch_unwind(AssertUnwindSafe(|| errand.run()));
            let _ = events.send(event(outcome.unwrap_or_else(|_| Err(a_mistake()))));
        });
        started.map(drop).map_err(|fault| {
            self.log.error(format_args!("no thread for a license call: {fault}"));
            ApiError::busy()
        })
    }

    /// The question in flight came to its end.
    pub(crate) fn land(&mut self, result: Result<Answer, Failure>) {
        let Some(Flight { request, asked, before, purpose }) = self.flight.take() else { return };
        self.asking_since = None;
        self.tried = Some(Moment::now());
        let landed = match result {
            Ok(answer) => self.take_in(&request, asked, &answer),
            Err(failure) => Err(Stuck::Network(failure)),
        };
        match &landed {
            Ok(outcome) => {
                self.error.clear();
                match outcome {
                    // The question was dropped; what it was for is still to be asked.
                    Outcome::Stale => self.schedule.sync_now(),
                    _ => self.schedule.answered(self.may_come_back()),
                }
            }
            Err(Stuck::Network(failure)) => {
                self.log.warn(format_args!("license service: {}", failure.sentence));
                self.error.clone_from(&failure.sentence);
                self.schedule.failed(self.may_come_back());
                if failure.hop == Hop::Answer {
                    self.schedule.put_off();
                }
                self.remember_refusal(failure);
                if let Some(before) = before.filter(|_| !failure.in_doubt) {
                    // Only what the question itself changed goes back: sessions went on meanwhile.
                    let (totals, log) = (self.state.totals, self.state.log);
                    let clock = self.state.clock.clone();
                    let totals =
                        if before.epoch == self.state.epoch { totals } else { before.totals };
                    let _ = self.commit(State { totals, log, clock, ..before });
                }
            }
            Err(Stuck::Disk(_)) => self.schedule.failed(self.may_come_back()),
        }
        self.publish();
        self.tell_listeners();
        self.finish(purpose, landed);
        while self.flight.is_none() {
            match self.waiting.pop_front() {
                Some(command) => self.obey(command),
                None => break,
            }
        }
        self.refill();
    }

    /// Believes an answer, or says why not.
    fn take_in(
        &mut self,
        request: &Request,
        asked: u64,
        answer: &Answer,
    ) -> Result<Outcome, Stuck> {
        self.accept_bundle(answer);
        let trust = self.trust.as_ref().map_err(|why| Stuck::Network(Failure::answer(why)))?;
        let who = Identity {
            computer_id: &request.computer_id,
            device: self.device.key.public().fingerprint(),
        };
        let (next, outcome) =
            transition::heard(&self.state, request, answer, who, trust, asked, &Reading::now())
                .map_err(|error| Stuck::Network(Failure::answer(&error.to_string())))?;
        let begins = next.epoch != self.state.epoch;
        self.commit(next).map_err(Stuck::Disk)?;
        self.told = if begins { 0 } else { request.consumed.unsigned_abs() };
        self.heard = Some(Moment::now());
        Ok(outcome)
    }

    fn accept_bundle(&mut self, answer: &Answer) {
        let (Ok(trust), Some(bundle)) = (&mut self.trust, &answer.bundle) else { return };
        match trust.accept(bundle) {
            Ok(crate::license::protocol::trust::Acceptance::Newer) => {
                self.log.info("newer keys of the license authority taken in");
                self.keep();
            }
            Ok(crate::license::protocol::trust::Acceptance::NotNewer) => {}
            Err(refusal) => {
                self.log.warn(format_args!("keys of the license authority refused: {refusal}"));
            }
        }
    }

    /// Asks for a sign of life. Whatever is on its way already, to a proxy that may refuse it, will do as well.
    pub(crate) fn probe(&mut self, told: Option<Sender<()>>) {
        if self.state.phase.is_offline() || self.refusal().is_some() {
            return;
        }
        if self.flight.is_some() || self.probe.is_some() {
            self.listeners.extend(told);
            return;
        }
        let code = self.state.grant.as_ref().map(|grant| grant.lease.license.clone());
        let request = self.question(
            Op::Probe,
            &code.unwrap_or_default(),
            Mode::Online,
            User::default(),
            &self.state,
        );
        let asked = boottime();
        if request.and_then(|request| self.carry(&request, Event::Alive)).is_ok() {
            self.probe = Some(asked);
            self.listeners.extend(told);
            self.asking_since.get_or_insert_with(Moment::now);
            self.publish();
        }
    }

    /// Somebody needs a license that allows no work: is the service in reach?
    pub(crate) fn missed(&mut self) {
        let just_tried = self.tried.is_some_and(|tried| tried.elapsed() < FRESH);
        if self.may_come_back() && !just_tried {
            self.probe(None);
        }
    }

    /// The sign of life came, or did not.
    pub(crate) fn alive(&mut self, result: Result<Answer, Failure>) {
        let Some(asked) = self.probe.take() else { return };
        if self.flight.is_none() {
            self.asking_since = None;
        }
        self.tried = Some(Moment::now());
        match result {
            Ok(answer) => {
                self.accept_bundle(&answer);
                self.heard = Some(Moment::now());
                self.error.clear();
                self.state.clock.hear(answer.server_time, asked, &Reading::now());
                self.state.last_contact = answer.server_time;
                self.publish();
                if self.state.pending.is_some() || self.may_come_back() {
                    self.schedule.in_reach();
                }
            }
            Err(failure) => {
                self.remember_refusal(&failure);
                self.error = failure.sentence;
            }
        }
        self.publish();
        self.tell_listeners();
    }

    fn tell_listeners(&mut self) {
        for told in self.listeners.drain(..) {
            let _ = told.send(());
        }
    }
}

/// Why a question brought nothing.
pub(crate) enum Stuck {
    Network(Failure),
    Disk(ApiError),
}

pub(crate) fn no_trust(why: &str) -> ApiError {
    ApiError::internal(
        "trust_file",
        format!("The license authority's keys are not usable: {why}"),
        "the trust file is part of the image; ask its vendor",
    )
}

/// What a call that panicked came to.
fn a_mistake() -> Failure {
    let sentence = "the call broke off by a mistake of this program; it will be tried again";
    Failure { hop: Hop::Broken, sentence: sentence.to_owned(), in_doubt: true, refused: None }
}
