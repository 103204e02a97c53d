//! The event loop of the worker, and its recovery after a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::schedule::Schedule;
use super::{Worker, check_usage_log};
use crate::license::client::proxy::Proxy;
use crate::license::command::Event;
use crate::license::error::ApiError;
use crate::license::state::entitlement::Entitlement;
use crate::license::state::record;
use crate::license::state::sessions::Sessions;

/// Pause after a panic, so that a panic that repeats at once doesn't fill the log.
const PANIC_DELAY: Duration = Duration::from_secs(1);

impl Worker {
    /// Runs until every [`Handle`](crate::license::Handle) is dropped. A panic costs the command that caused
    /// it; the state is then read from disk again.
    pub(crate) fn run(mut self, inbox: &Receiver<Event>) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.step(inbox))) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => {
                    // Nothing is allowed until the recovered state is published.
                    self.entitlement.publish(Entitlement::NONE);
                    self.log.error(
                        "internal error (panic) in the license worker; restarted from its files",
                    );
                    self = self.recover();
                    thread::sleep(PANIC_DELAY);
                }
            }
        }
    }

    /// Does what is due, then handles the next event; false if no handle is left.
    fn step(&mut self, inbox: &Receiver<Event>) -> bool {
        self.on_timer();
        match inbox.recv_timeout(self.next_timeout()) {
            Ok(Event::Command(command)) => self.handle(command),
            Ok(Event::Response(result)) => self.on_response(result),
            Ok(Event::ProbeResponse(result)) => self.on_probe_response(result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    /// Rebuilds the worker as after a start: sessions have ended, their reserved seconds are charged, and
    /// callers get an error.
    fn recover(mut self) -> Worker {
        self.queued.drain(..).for_each(|job| drop(job.reply.send(Err(ApiError::busy()))));
        let trust = self.trust.as_mut().ok();
        let mut state = record::load(&self.folder, &self.device, trust, &self.log);
        check_usage_log(&mut state, &self.folder, &self.log);
        state.totals = state.totals.charge_held();
        let proxy = Proxy::read(self.folder.view());
        self.proxy.publish(proxy.inspect_err(|error| self.log.error(error)));
        Worker {
            state,
            sessions: Sessions::default(),
            in_flight: None,
            probe: None,
            probe_waiters: Vec::new(),
            schedule: Schedule::at_start(),
            in_progress_since: None,
            ..self
        }
    }
}
