//! The one thread that owns the state of the license.
//!
//! Commands come in, answers of the authority come in, time passes; each makes at most one change,
//! which is on disk before anybody hears of it. Questions travel on threads of their own, one at a
//! time, so that counting seconds and telling the status never wait for the network.

mod calls;
mod flight;
mod give_back;
mod life;
mod offline;
mod proxy;
mod schedule;
mod usage;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::network::Proxy;
use crate::config;
use crate::config::Config;
use crate::license::client::worker::flight::Flight;
use crate::license::client::worker::schedule::Schedule;
use crate::license::command::{Command, Event};
use crate::license::device::Device;
use crate::license::device::computer_id::Machine;
use crate::license::device::trust_file;
use crate::license::error::ApiError;
use crate::license::handle::Handle;
use crate::license::protocol::trust::Trust;
use crate::license::state::clock::{Moment, Reading};
use crate::license::state::entitlement::{Entitlement, Phase};
use crate::license::state::lease::Sessions;
use crate::license::state::record;
use crate::license::state::record::State;
use crate::license::state::status::{Contact, Snapshot};
use crate::license::state::usage_log;
use crate::log::Log;
use crate::store;
use crate::store::Folder;
use crate::util::published::Published;

/// The clock is looked at at least so often.
const TICK: Duration = Duration::from_secs(60);

/// And written down so often, so that a machine that is switched off remembers about when that was.
const KEEP_CLOCK: Duration = Duration::from_secs(3_600);

/// Commands that wait for the question in flight; more are told that we are busy.
const MOST_WAITING: usize = 2;

pub(crate) struct Worker {
    settings: config::License,
    version: String,
    folder: Arc<Folder>,
    device: Arc<Device>,
    trust: Result<Trust, String>,
    log: Log,
    /// For the threads that carry questions.
    events: Sender<Event>,
    snapshot: Arc<Published<Snapshot>>,
    standing: Arc<Published<Entitlement>>,
    proxy: Arc<Published<Result<Option<Proxy>, String>>>,

    state: State,
    sessions: Sessions,
    flight: Option<Flight>,
    waiting: VecDeque<Command>,
    /// When a sign of life was asked for that has not come, in seconds of this start of the machine.
    probe: Option<u64>,
    /// Who waits for one, or for whatever else the authority says next.
    listeners: Vec<Sender<()>>,
    schedule: Schedule,
    /// Seconds used, as the authority heard last.
    told: u64,
    heard: Option<Moment>,
    tried: Option<Moment>,
    asking_since: Option<Moment>,
    error: String,
    clock_kept: Moment,
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
) -> Result<Handle, String> {
    let device = Device::open(folder, machine, log).map_err(|why| format!("license: {why}"))?;
    let mut trust = trust_file::open(&config.license.trust_file, log);
    let mut state = record::load(folder, &device, trust.as_mut().ok(), log);
    check_usage_log(&mut state, folder, log);
    // What a crash left held was used, as far as anybody can know.
    state.totals = state.totals.charge_held();
    let proxy = Proxy::read(folder.view()).inspect_err(|why| log.error(why));
    let (events, inbox) = mpsc::channel();
    let contact = Contact {
        heard: None,
        tried: None,
        asking_since: None,
        error: String::new(),
        no_trust: trust.as_ref().err().cloned(),
    };
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
        standing: Arc::new(Published::new(Entitlement::NONE)),
        proxy: Arc::new(Published::new(proxy)),
        state,
        sessions: Sessions::default(),
        flight: None,
        waiting: VecDeque::new(),
        probe: None,
        listeners: Vec::new(),
        schedule: Schedule::at_start(),
        told: 0,
        heard: None,
        tried: None,
        asking_since: None,
        error: String::new(),
        clock_kept: Moment::now(),
    };
    let handle = Handle {
        events,
        snapshot: Arc::clone(&worker.snapshot),
        standing: Arc::clone(&worker.standing),
        proxy: Arc::clone(&worker.proxy),
    };
    worker.error = worker.refusal().unwrap_or_default().to_owned();
    worker.publish(); // before anybody can ask
    thread::Builder::new()
        .name("license".to_owned())
        .spawn(move || worker.run(&inbox))
        .map_err(|fault| format!("no thread for the license: {fault}"))?;
    Ok(handle)
}

/// Where the license file may be right after all, so may the log that goes with it.
fn check_usage_log(state: &mut State, folder: &Folder, log: &Log) {
    if state.phase != Phase::Unread {
        state.log = usage_log::check(folder, state.log, log);
    }
}

impl Worker {
    /// How long nothing can happen by itself.
    fn patience(&self) -> Duration {
        let reading = Reading::now();
        let standing = self.snapshot.snapshot().standing(&reading);
        let now = self.state.clock.at(&reading);
        let change = standing
            .next_change
            .and_then(|at| u64::try_from(at.saturating_sub(now)).ok())
            .map_or(TICK, Duration::from_secs);
        TICK.min(change).min(self.schedule.due_in()).max(Duration::from_millis(10))
    }

    /// Does what is due.
    fn wake(&mut self) {
        let reading = Reading::now();
        self.state.clock.look(&reading);
        self.publish();
        if self.state.phase == Phase::Online && !self.standing.snapshot().licensed {
            self.schedule.hurry();
        }
        if let Some((session, held)) = self.sessions.forgotten(reading.boot) {
            self.log.warn(format_args!(
                "a session of the speech engine was never settled; it is charged"
            ));
            let _ = self.charge(&session, held);
        }
        if self.clock_kept.elapsed() > KEEP_CLOCK && self.state.phase != Phase::Unlicensed {
            self.clock_kept = Moment::now();
            self.keep();
        }
        self.ask_what_is_due();
    }

    fn obey(&mut self, command: Command) {
        let asks = match &command {
            Command::Activate { .. } | Command::Remove { .. } | Command::Offline { .. } => true,
            // These change what the question in flight relies on.
            Command::Certificate { .. } | Command::Apply { .. } | Command::GiveBack { .. } => true,
            _ => false,
        };
        if asks && self.flight.is_some() {
            if self.waiting.len() < MOST_WAITING {
                self.waiting.push_back(command);
            } else {
                command.reject(ApiError::busy());
            }
            return;
        }
        if matches!(
            command,
            Command::Activate { .. }
                | Command::Remove { .. }
                | Command::Offline { .. }
                | Command::Proxy { .. }
                | Command::Refresh
        ) {
            self.let_try_again();
        }
        match command {
            Command::Activate { code, user, by, reply } => self.activate(code, user, by, reply),
            Command::Remove { by, reply } => self.remove(by, reply),
            Command::Offline { offline, by, reply } => self.set_offline(offline, &by, reply),
            Command::Certificate { code, user, by, reply } => {
                let _ = reply.send(self.certificate(&code, user, &by));
            }
            Command::Apply { code, certificate, by, reply } => {
                let _ = reply.send(self.apply(&code, &certificate, &by));
            }
            Command::GiveBack { by, reply } => {
                let _ = reply.send(self.give_back(&by));
            }
            Command::Proxy { body, by, reply } => {
                let _ = reply.send(self.set_proxy(body, &by));
            }
            Command::Reserve { session, seconds, seq, reply } => {
                let _ = reply.send(self.reserve(&session, seconds, seq));
            }
            Command::Settle { session, used, reply } => {
                let _ = reply.send(self.charge(&session, used));
            }
            Command::Refresh => self.schedule.sync_now(),
            Command::Probe(told) => self.probe(Some(told)),
        }
    }

    /// Writes down what was learnt by the way: the time, newer keys. That it failed is logged, and the
    /// next commit brings it.
    fn keep(&mut self) {
        if self.state.phase != Phase::Unread {
            let _ = self.commit(self.state.clone());
        }
    }

    /// Writes the state down and takes it over. After a failed write the disk decides what holds.
    fn commit(&mut self, mut next: State) -> Result<(), ApiError> {
        if self.state.phase == Phase::Unread {
            self.set_aside()?;
        }
        if next.phase == Phase::Unread {
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

    /// Keeps the file that could not be believed, since a person begins anew.
    fn set_aside(&mut self) -> Result<(), ApiError> {
        let aside = record::set_aside(&self.folder).map_err(|error| self.not_saved(&error))?;
        if let Some(aside) = aside {
            self.log.security(format_args!(
                "the license file that could not be believed is kept as {}",
                aside.display()
            ));
        }
        self.state.phase = Phase::Damaged;
        check_usage_log(&mut self.state, &self.folder, &self.log);
        Ok(())
    }

    /// What readers would see if the state were `state`.
    fn seen(&self, state: &State, reading: &Reading) -> Snapshot {
        let contact = Contact {
            heard: self.heard,
            tried: self.tried,
            asking_since: self.asking_since,
            error: self.error.clone(),
            no_trust: self.trust.as_ref().err().cloned(),
        };
        let awaits = self.awaited(reading).is_some();
        Snapshot::new(&self.settings, &self.device.computer_id, state, awaits, contact)
    }

    /// Lets readers see the state as it stands.
    fn publish(&self) {
        let reading = Reading::now();
        let snapshot = self.seen(&self.state, &reading);
        let standing = snapshot.standing(&reading);
        self.snapshot.publish(snapshot);
        let before = self.standing.snapshot();
        if *before != standing {
            if before.may_transcribe != standing.may_transcribe {
                let word = if standing.may_transcribe { "allowed" } else { "refused" };
                self.log.info(format_args!("transcription is {word}: {}", standing.status));
            }
            self.standing.publish(standing);
        }
    }

    fn document(&self) -> Value {
        self.snapshot.snapshot().document(&Reading::now())
    }

    fn not_saved(&self, error: &store::Error) -> ApiError {
        self.log.error(format_args!("a license setting could not be saved: {error}"));
        ApiError::disk(error)
    }

    /// Effective time.
    fn now(&self) -> i64 {
        self.state.clock.at(&Reading::now())
    }
}

/// The last digits of a code: enough to tell two licenses apart in a log.
fn tail(code: &str) -> String {
    let digits: Vec<char> = code.chars().collect();
    digits.iter().skip(digits.len().saturating_sub(4)).collect()
}

#[cfg(test)]
mod tests;
