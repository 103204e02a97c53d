//! The license worker: the only thread that changes the state of the license.
//!
//! It is a shell around pure functions: [`plan`] says who may start what in which state, and
//! [`transition`](crate::license::state::transition) what an answer changes; the worker saves, sends and
//! answers. Each command, answer of the authority and timer makes at most one change, or one before and one
//! with its request, which are on disk before any reader sees them. Requests to the authority run on threads
//! of their own, one at a time, so that counting seconds and reading the status never wait for the network.

mod certificates;
mod event_loop;
mod in_flight;
mod perform;
mod proxy;
mod schedule;
mod usage;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::proxy::Proxy;
use crate::config;
use crate::config::Config;
use crate::license::client::worker::in_flight::InFlight;
use crate::license::client::worker::schedule::Schedule;
use crate::license::command::{Command, Event, Job};
use crate::license::device::Device;
use crate::license::device::computer_id::Machine;
use crate::license::device::trust_file;
use crate::license::error::ApiError;
use crate::license::handle::Handle;
use crate::license::protocol::fields;
use crate::license::protocol::trust::Trust;
use crate::license::state::clock::{BootInstant, ClockReading};
use crate::license::state::entitlement::{Entitlement, Phase};
use crate::license::state::plan;
use crate::license::state::record;
use crate::license::state::record::State;
use crate::license::state::sessions::Sessions;
use crate::license::state::status::{Contact, Snapshot};
use crate::license::state::usage_log;
use crate::log::Log;
use crate::store;
use crate::store::Folder;
use crate::util::published::Published;

/// Longest time between two looks at the clock.
const TICK: Duration = Duration::from_secs(60);

/// How often the clock is saved, so that a machine that is switched off knows roughly when that was.
const CLOCK_SAVE_INTERVAL: Duration = Duration::from_secs(3_600);

/// Most actions that wait for the request in flight; further ones are answered with "busy".
const MAX_QUEUED: usize = 2;

pub(crate) struct Worker {
    settings: config::License,
    version: String,
    folder: Arc<Folder>,
    device: Arc<Device>,
    trust: Result<Trust, store::Error>,
    log: Log,
    /// For the threads of requests.
    events: Sender<Event>,
    snapshot: Arc<Published<Snapshot>>,
    entitlement: Arc<Published<Entitlement>>,
    proxy: Arc<Published<Result<Option<Proxy>, fields::Error>>>,

    state: State,
    sessions: Sessions,
    in_flight: Option<InFlight>,
    queued: VecDeque<Job>,
    /// When the running probe was sent, in seconds since the machine started.
    probe: Option<u64>,
    /// Callers that wait for the probe, or for any other answer of the authority.
    probe_waiters: Vec<Sender<()>>,
    schedule: Schedule,
    /// Seconds used, as last reported to the authority.
    reported_usage: u64,
    last_answer: Option<BootInstant>,
    last_attempt: Option<BootInstant>,
    in_progress_since: Option<BootInstant>,
    error: String,
    clock_saved: BootInstant,
}

/// Opens the license and starts its worker.
///
/// # Errors
/// When the device key can't be read or made, or no thread can be started.
pub(crate) fn start(
    config: &Config,
    folder: &Arc<Folder>,
    machine: &Machine,
    log: &Log,
) -> Result<Handle, store::Error> {
    let device = Device::open(folder, machine, log)?;
    let mut trust = trust_file::open(&config.license.trust_file, log);
    let mut state = record::load(folder, &device, trust.as_mut().ok(), log);
    check_usage_log(&mut state, folder, log);
    // Seconds that were reserved at a crash count as used.
    state.totals = state.totals.charge_held();
    let proxy = Proxy::read(folder.view()).inspect_err(|error| log.error(error));
    let (events, inbox) = mpsc::channel();
    let trust_error = trust.as_ref().err().map(ToString::to_string);
    let contact = Contact { trust_error, ..Contact::default() };
    let snapshot = Snapshot::new(&config.license, &device.computer_id, &state, false, contact);
    let mut worker = Worker {
        settings: config.license.clone(),
        version: config.about.version.clone(),
        folder: Arc::clone(folder),
        device: Arc::new(device),
        trust,
        log: log.clone(),
        events: events.clone(),
        snapshot: Arc::new(Published::new(snapshot)),
        entitlement: Arc::new(Published::new(Entitlement::NONE)),
        proxy: Arc::new(Published::new(proxy)),
        state,
        sessions: Sessions::default(),
        in_flight: None,
        queued: VecDeque::new(),
        probe: None,
        probe_waiters: Vec::new(),
        schedule: Schedule::at_start(),
        reported_usage: 0,
        last_answer: None,
        last_attempt: None,
        in_progress_since: None,
        error: String::new(),
        clock_saved: BootInstant::now(),
    };
    let handle = Handle {
        events,
        snapshot: Arc::clone(&worker.snapshot),
        entitlement: Arc::clone(&worker.entitlement),
        proxy: Arc::clone(&worker.proxy),
    };
    worker.error = worker.proxy_rejection().unwrap_or_default().to_owned();
    worker.publish(); // before the first reader
    thread::Builder::new()
        .name("license".to_owned())
        .spawn(move || worker.run(&inbox))
        .map_err(|error| store::Error::new(format!("cannot start the license thread: {error}")))?;
    Ok(handle)
}

/// Checks the usage log, unless the license file could not be read: that one may still be valid, and
/// the log with it.
fn check_usage_log(state: &mut State, folder: &Folder, log: &Log) {
    if state.phase != Phase::Unreadable {
        state.log = usage_log::check(folder, state.log, log);
    }
}

impl Worker {
    /// How long the worker may wait for the next event.
    fn next_timeout(&self) -> Duration {
        let reading = ClockReading::now();
        let entitlement = self.snapshot.snapshot().entitlement(&reading);
        let now = self.state.clock.at(&reading);
        let change = entitlement
            .next_change
            .and_then(|at| u64::try_from(at.saturating_sub(now)).ok())
            .map_or(TICK, Duration::from_secs);
        TICK.min(change).min(self.schedule.due_in()).max(Duration::from_millis(10))
    }

    /// Does what is due: saves the clock, charges abandoned sessions, sends requests.
    fn on_timer(&mut self) {
        let reading = ClockReading::now();
        self.state.clock.observe(&reading);
        self.publish();
        if self.state.phase == Phase::Online && !self.entitlement.snapshot().licensed {
            self.schedule.sync_soon();
        }
        if let Some((session, held)) = self.sessions.abandoned(reading.boot) {
            self.log.warn(format_args!(
                "session abandoned by the engine; its reserved seconds were charged"
            ));
            let _ = self.charge(&session, held);
        }
        if self.clock_saved.elapsed() > CLOCK_SAVE_INTERVAL && self.state.phase != Phase::Unlicensed
        {
            self.clock_saved = BootInstant::now();
            self.persist();
        }
        self.send_due();
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Perform(job) => self.perform_or_queue(job),
            Command::SetProxy { body, by, reply } => {
                self.allow_retry();
                let _ = reply.send(self.set_proxy(body, &by));
            }
            Command::Reserve { session, seconds, seq, reply } => {
                let _ = reply.send(self.reserve(&session, seconds, seq));
            }
            Command::Settle { session, used, reply } => {
                let _ = reply.send(self.charge(&session, used));
            }
            Command::Refresh => {
                self.allow_retry();
                self.schedule.sync_now();
            }
            Command::Probe(waiter) => self.probe(Some(waiter)),
        }
    }

    /// Saves the time and newer keys. A failure is logged, and the next commit saves them.
    fn persist(&mut self) {
        if self.state.phase != Phase::Unreadable {
            let _ = self.commit(self.state.clone());
        }
    }

    /// Saves `next` and makes it the current state. After a failed write, the state on disk counts.
    fn commit(&mut self, mut next: State) -> Result<(), ApiError> {
        if self.state.phase == Phase::Unreadable {
            self.set_aside()?;
        }
        if next.phase == Phase::Unreadable {
            next.phase = Phase::Damaged;
        }
        next.generation = self.state.generation + 1;
        if let Ok(trust) = &self.trust {
            next.bundle = Some(trust.bundle_token().to_owned());
        }
        let saved = record::save(&self.folder, &self.device, &next);
        if saved.is_ok() || record::is_on_disk(&self.folder, &self.device, &next) {
            self.state = next;
            self.publish();
        }
        saved.map_err(|error| {
            self.log.error(format_args!("the license could not be saved: {error}"));
            ApiError::disk(&error)
        })
    }

    /// Sets aside a license file that could not be used, because an administrator starts over.
    fn set_aside(&mut self) -> Result<(), ApiError> {
        let aside = record::set_aside(&self.folder).map_err(|error| self.storage_error(&error))?;
        if let Some(aside) = aside {
            self.log.security(format_args!(
                "the unusable license file was kept as {}",
                aside.display()
            ));
        }
        self.state.phase = Phase::Damaged;
        check_usage_log(&mut self.state, &self.folder, &self.log);
        Ok(())
    }

    /// The snapshot that readers would get if the state were `state`.
    fn snapshot_of(&self, state: &State, reading: &ClockReading) -> Snapshot {
        let contact = Contact {
            last_answer: self.last_answer,
            last_attempt: self.last_attempt,
            in_progress_since: self.in_progress_since,
            error: self.error.clone(),
            trust_error: self.trust.as_ref().err().map(ToString::to_string),
        };
        let awaits_certificate = plan::pending_activation(state, reading).is_some();
        Snapshot::new(&self.settings, &self.device.computer_id, state, awaits_certificate, contact)
    }

    /// Publishes the current state to readers.
    fn publish(&self) {
        let reading = ClockReading::now();
        let snapshot = self.snapshot_of(&self.state, &reading);
        let entitlement = snapshot.entitlement(&reading);
        self.snapshot.publish(snapshot);
        let before = self.entitlement.snapshot();
        if *before != entitlement {
            if before.may_transcribe != entitlement.may_transcribe {
                let word = if entitlement.may_transcribe { "allowed" } else { "refused" };
                self.log.info(format_args!("transcription is {word}: {}", entitlement.status));
            }
            self.entitlement.publish(entitlement);
        }
    }

    fn document(&self) -> Value {
        self.snapshot.snapshot().document(&ClockReading::now())
    }

    fn storage_error(&self, error: &store::Error) -> ApiError {
        self.log.error(format_args!("a license setting could not be saved: {error}"));
        ApiError::disk(error)
    }

    /// The effective time.
    fn now(&self) -> i64 {
        self.state.clock.at(&ClockReading::now())
    }
}

#[cfg(test)]
mod tests;
