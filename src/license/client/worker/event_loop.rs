//! Turn after turn, and a new start after a panic.

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

/// Between a panic and the next turn, so that one that comes back at once doesn't fill the log.
const PANIC_DELAY: Duration = Duration::from_secs(1);

impl Worker {
    /// Until nobody can ask any more. A mistake of ours costs the command it was made at; what holds
    /// then is what the disk says.
    pub(crate) fn run(mut self, inbox: &Receiver<Event>) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.step(inbox))) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => {
                    // Nothing is allowed until the next turn has published what it found.
                    self.entitlement.publish(Entitlement::NONE);
                    self.log.error("the license worker panicked; it starts again from its files");
                    self = self.recover();
                    thread::sleep(PANIC_DELAY);
                }
            }
        }
    }

    /// What is due, then what comes in; false when nobody can ask any more.
    fn step(&mut self, inbox: &Receiver<Event>) -> bool {
        self.on_timer();
        match inbox.recv_timeout(self.next_timeout()) {
            Ok(Event::Command(command)) => self.handle(command),
            Ok(Event::Response(result)) => self.on_response(result),
            Ok(Event::ProbeResponse(result)) => self.alive(result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    /// As after a start: sessions are over, what they held is charged, whoever waits is told.
    fn recover(mut self) -> Worker {
        self.queued.drain(..).for_each(|command| command.reject(ApiError::busy()));
        let trust = self.trust.as_mut().ok();
        let mut state = record::load(&self.folder, &self.device, trust, &self.log);
        check_usage_log(&mut state, &self.folder, &self.log);
        state.totals = state.totals.charge_held();
        let proxy = Proxy::read(self.folder.view());
        self.proxy.publish(proxy.inspect_err(|why| self.log.error(why)));
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
