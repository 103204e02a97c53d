//! The network of this machine: what the administrator wants it to be, tried before it is kept.
//!
//! In: checked settings ([`Settings`]), one change at a time ([`NetworkSettings`]), what is in force ([`InForce`]).
//! Out: applying them, which needs rights that the daemon gave up: the image's own command, `commands.network`,
//! does it in the helper process. It gets a document with one of three actions:
//!
//! | action | the command |
//! | --- | --- |
//! | `try` | uses the settings of the document now, so that a restart of the machine would bring back the kept ones |
//! | `keep` | keeps the settings of the document, which are in use |
//! | `undo` | uses the kept settings again |
//!
//! Nobody locks himself out: a change from the network is undone after a minute, unless somebody confirms it who
//! has reached the appliance at its new address. Whoever makes one at the machine itself confirms it by that.
//! `network.json` names an unfinished change, which a daemon that starts anew finishes or undoes.
//!
//! Without `commands.network` there is none of this: no file, no thread.

mod in_force;
mod record;
mod settings;

use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, json};

pub(crate) use in_force::InForce;
use record::{Change, Record};
pub(crate) use settings::{Settings, Static, parse_hostname};

use crate::helper::{CommandHelper, CommandKind, STACK};
use crate::log::Log;
use crate::store::{self, Folder};

/// How long a change from the network is in use before it is undone, unless it is confirmed.
pub(crate) const TRIAL: Duration = Duration::from_secs(60);

/// Enough time to send the answer before its address is gone.
const DELAY: Duration = Duration::from_secs(1);

/// Longest run of the command that is waited for.
const COMMAND: Duration = Duration::from_secs(30);

/// Why a change was not made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Another change is on its way, or there is none to confirm: what to do instead.
    Conflict(String),
    /// It could not be made or saved.
    Failed(String),
}

/// Changes the settings, one change at a time.
pub(crate) struct NetworkSettings {
    folder: Arc<Folder>,
    run: Run,
    log: Log,
    trial: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

/// Runs the image's command with a document.
type Run = Box<dyn Fn(&Map<String, serde_json::Value>) -> Result<(), String> + Send + Sync>;

struct State {
    record: Record,
    stage: Stage,
    /// Of the change that is on its way, or the last one.
    number: u64,
    /// Why the last change is not in use.
    failure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    /// The command is running.
    Busy,
    /// The change is in use, and is undone then.
    Trial(Instant),
}

/// What is known of the settings.
pub(crate) struct Report {
    /// Absent: the image's own.
    pub(crate) kept: Option<Settings>,
    pub(crate) trial: Option<Trial>,
    pub(crate) failure: Option<String>,
}

/// A change that is not confirmed yet.
pub(crate) struct Trial {
    pub(crate) settings: Settings,
    /// Absent while the change is being made.
    pub(crate) left: Option<Duration>,
}

impl NetworkSettings {
    /// Reads the state, and finishes or undoes what a daemon before has left.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(crate) fn open(
        folder: Arc<Folder>,
        helper: Arc<CommandHelper>,
        log: Log,
    ) -> Result<Arc<NetworkSettings>, store::Error> {
        let run = move |document: &Map<_, _>| {
            helper
                .run_with(CommandKind::Network, document, COMMAND)
                .map_err(|error| format!("the command \"commands.network\" failed: {error}"))
        };
        NetworkSettings::with(folder, Box::new(run), log, TRIAL)
    }

    fn with(
        folder: Arc<Folder>,
        run: Run,
        log: Log,
        trial: Duration,
    ) -> Result<Arc<NetworkSettings>, store::Error> {
        let record = Record::load(&folder, &log)?;
        let left = record.change.clone();
        let stage = if left.is_some() { Stage::Busy } else { Stage::Idle };
        let state = State { record, stage, number: 0, failure: None };
        let network = Arc::new(NetworkSettings {
            folder,
            run,
            log,
            trial,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        if let Some(change) = left {
            let finish = move |network: &NetworkSettings| match change.confirmed {
                true => network.keep_again(&change.wanted),
                false => network.undo("the daemon ended before the change was confirmed"),
            };
            if let Err(error) = network.spawn(finish) {
                network.log.error(error);
                network.lock().stage = Stage::Idle;
            }
        }
        Ok(network)
    }

    /// What holds, what is tried, and what went wrong.
    pub(crate) fn report(&self) -> Report {
        let state = self.lock();
        let left = match state.stage {
            Stage::Trial(end) => Some(end.saturating_duration_since(Instant::now())),
            Stage::Idle | Stage::Busy => None,
        };
        let change = state.record.change.as_ref().filter(|_| state.stage != Stage::Idle);
        let trial = change.map(|change| Trial { settings: change.wanted.clone(), left });
        Report { kept: state.record.kept.clone(), trial, failure: state.failure.clone() }
    }

    /// Makes a change from the network after a moment, and undoes it later unless it is confirmed.
    ///
    /// # Errors
    /// Nothing is changed then.
    pub(crate) fn try_later(self: &Arc<NetworkSettings>, wanted: Settings) -> Result<(), Error> {
        let number = self.begin(wanted.clone(), false)?;
        let begun = self.spawn(move |network| {
            thread::sleep(DELAY);
            match network.apply(&wanted) {
                Ok(()) => network.await_confirmation(number),
                Err(error) => network.undo(&error),
            }
        });
        begun.map_err(|error| {
            self.end(None, Some(error.clone()));
            Error::Failed(error)
        })
    }

    /// Makes a change of somebody at the machine itself, and keeps it. It takes the place of one on trial.
    ///
    /// # Errors
    /// The settings are the kept ones then.
    pub(crate) fn set(&self, wanted: &Settings) -> Result<(), Error> {
        self.begin(wanted.clone(), true)?;
        let made = self.apply(wanted).map_err(Error::Failed);
        let made = made.and_then(|()| self.keep(wanted, self.lock()));
        if let Err(Error::Failed(error)) = &made {
            self.undo(error);
        }
        made
    }

    /// Keeps the change on trial. `at` is the address at which its confirmation has come in; absent for somebody at
    /// the machine itself.
    ///
    /// # Errors
    /// The trial goes on then.
    pub(crate) fn confirm(&self, at: Option<IpAddr>) -> Result<(), Error> {
        let state = self.lock();
        let conflict = |text: String| Err(Error::Conflict(text));
        let (change, end) = match (&state.record.change, state.stage) {
            (Some(change), Stage::Trial(end)) => (change.wanted.clone(), end),
            (Some(_), Stage::Busy) => {
                return conflict(
                    "the change is being made; confirm it once it is in use".to_owned(),
                );
            }
            _ => return conflict("there is no change of the network to confirm".to_owned()),
        };
        match (at, change.address()) {
            (Some(at), Some(new)) if at != IpAddr::V4(new) => {
                return conflict(format!(
                    "this came in at {at}; confirm the change at its new address, {new}, to show that it can be reached"
                ));
            }
            (Some(at), None) if at.is_loopback() => {
                return conflict(format!(
                    "this came in at {at}, which no other machine reaches; confirm the change at the address that \
                     DHCP has given"
                ));
            }
            _ => {}
        }
        self.keep(&change, state).inspect_err(|_| {
            let mut state = self.lock();
            if let Some(change) = &mut state.record.change {
                change.confirmed = false;
            }
            // If this fails too, the next start keeps what was confirmed.
            let _ = state.record.save(&self.folder);
            state.stage = Stage::Trial(end);
            self.changed.notify_all();
        })
    }

    /// Saves that a change is on its way; returns its number.
    fn begin(&self, wanted: Settings, replaces: bool) -> Result<u64, Error> {
        let mut state = self.lock();
        match state.stage {
            Stage::Trial(_) if replaces => {}
            Stage::Idle => {}
            Stage::Trial(end) => {
                let left = end.saturating_duration_since(Instant::now()).as_secs();
                return Err(Error::Conflict(format!(
                    "another change of the network is on trial; confirm it, or wait until it is undone in {left} s"
                )));
            }
            Stage::Busy => {
                let what = "another change of the network is being made; try again in some seconds";
                return Err(Error::Conflict(what.to_owned()));
            }
        }
        self.save(&mut state, Change { wanted, confirmed: false })?;
        state.number += 1;
        state.failure = None;
        Ok(state.number)
    }

    /// Saves the change that is being made.
    fn save(&self, state: &mut State, change: Change) -> Result<(), Error> {
        let record = Record { change: Some(change), ..state.record.clone() };
        record.save(&self.folder).map_err(|error| Error::Failed(error.to_string()))?;
        state.record = record;
        state.stage = Stage::Busy;
        Ok(())
    }

    /// Has the settings used, and starts the trial.
    fn apply(&self, wanted: &Settings) -> Result<(), String> {
        (self.run)(&document("try", Some(wanted)))?;
        self.lock().stage = Stage::Trial(Instant::now() + self.trial);
        Ok(())
    }

    /// Undoes the change of this number at the end of its trial, unless it was confirmed or replaced.
    fn await_confirmation(&self, number: u64) {
        let mut state = self.lock();
        loop {
            let pause = match state.stage {
                _ if state.number != number => return,
                Stage::Idle => return,
                // It is being kept, or that has failed and the trial goes on.
                Stage::Busy => self.trial,
                Stage::Trial(end) => end.saturating_duration_since(Instant::now()),
            };
            if pause.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.stage = Stage::Busy;
        drop(state);
        self.undo("nobody confirmed the change at its new address in time");
    }

    /// Has the settings kept, which are in use.
    fn keep(&self, wanted: &Settings, mut state: MutexGuard<'_, State>) -> Result<(), Error> {
        self.save(&mut state, Change { wanted: wanted.clone(), confirmed: true })?;
        drop(state);
        (self.run)(&document("keep", Some(wanted))).map_err(Error::Failed)?;
        self.log.info("the new network settings are kept");
        self.end(Some(wanted.clone()), None);
        Ok(())
    }

    /// Has the settings kept that a daemon before was asked to keep.
    fn keep_again(&self, wanted: &Settings) {
        if let Err(Error::Failed(error) | Error::Conflict(error)) = self.keep(wanted, self.lock()) {
            // The file still names it, so the next start tries again.
            self.log
                .error(format_args!("the confirmed change of the network was not kept: {error}"));
            let mut state = self.lock();
            state.stage = Stage::Idle;
            state.failure = Some(error);
        }
    }

    /// Goes back to the kept settings.
    fn undo(&self, why: &str) {
        self.log.warn(format_args!("the change of the network is undone: {why}"));
        match (self.run)(&document("undo", None)) {
            Ok(()) => self.end(None, Some(why.to_owned())),
            Err(error) => {
                // The file still names it, so the next start tries again.
                self.log
                    .error(format_args!("the change of the network could not be undone: {error}"));
                let mut state = self.lock();
                state.stage = Stage::Idle;
                state.failure = Some(format!("{why}; and it could not be undone: {error}"));
                self.changed.notify_all();
            }
        }
    }

    /// Ends a change; `kept` are the settings that it has made.
    fn end(&self, kept: Option<Settings>, failure: Option<String>) {
        let mut state = self.lock();
        state.record.change = None;
        state.record.kept = kept.or(state.record.kept.take());
        state.stage = Stage::Idle;
        state.failure = failure;
        if let Err(error) = state.record.save(&self.folder) {
            // The next start ends the change the same way.
            self.log
                .error(format_args!("the end of a change of the network was not saved: {error}"));
        }
        self.changed.notify_all();
    }

    fn spawn(
        self: &Arc<NetworkSettings>,
        work: impl FnOnce(&NetworkSettings) + Send + 'static,
    ) -> Result<(), String> {
        let network = Arc::clone(self);
        let thread = thread::Builder::new().name("network".to_owned()).stack_size(STACK);
        thread.spawn(move || work(&network)).map(drop).map_err(|error| {
            format!("cannot start a thread to change the network: {error}; try again")
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn document(action: &str, settings: Option<&Settings>) -> Map<String, serde_json::Value> {
    let mut document = Map::new();
    document.insert("action".to_owned(), json!(action));
    document.extend(settings.into_iter().flat_map(Settings::to_members));
    document
}

#[cfg(test)]
mod tests;
