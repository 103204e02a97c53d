//! Runs the configured commands through the helper: each at most once at a time, with its result logged.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::helper::{CommandHelper, CommandKind, STACK};
use crate::log::Log;
use crate::management::Context;
use crate::util::semaphore::{Permit, Semaphore};

/// The commands that are running or scheduled.
pub(crate) struct RunningCommands([Arc<Semaphore>; CommandKind::ALL.len()]);

impl Default for RunningCommands {
    fn default() -> RunningCommands {
        RunningCommands(std::array::from_fn(|_| Semaphore::new(1)))
    }
}

impl RunningCommands {
    /// Permission to run a command; `None` if it is running or scheduled already.
    pub(crate) fn try_start(&self, kind: CommandKind) -> Option<RunPermit> {
        let permit = self.0[kind as usize].try_acquire()?;
        Some(RunPermit { _permit: permit, kind })
    }
}

/// Permission to run one command once, released when dropped.
pub(crate) struct RunPermit {
    _permit: Permit,
    kind: CommandKind,
}

impl RunPermit {
    /// Runs the command after `delay`; the receiver gets its end, and why it did not run or failed.
    ///
    /// # Errors
    /// Why there is no thread for it. All errors are sentences for the administrator.
    pub(crate) fn start(
        self,
        context: &Context,
        delay: Duration,
    ) -> Result<Receiver<Result<(), String>>, String> {
        let name = self.kind.name();
        let (ended, end) = mpsc::channel();
        let (helper, log) = (Arc::clone(&context.helper), context.log.clone());
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        let started = thread.spawn(move || {
            thread::sleep(delay);
            // The caller may not wait for it.
            let _ = ended.send(self.run(&helper, &log));
        });
        started
            .map(|_| end)
            .map_err(|error| format!("cannot start a thread to run {name}: {error}; try again"))
    }

    /// Runs the command, waits for its end and logs it.
    fn run(self, helper: &CommandHelper, log: &Log) -> Result<(), String> {
        let name = self.kind.name();
        let result = helper
            .run(self.kind)
            .map_err(|error| format!("the command \"commands.{name}\" failed: {error}"));
        match &result {
            Ok(()) => log.info(format_args!("{name}: completed")),
            Err(error) => log.error(error),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{CommandKind, RunningCommands};

    #[test]
    fn a_command_has_one_turn_at_a_time() {
        let running = RunningCommands::default();
        let permit = running.try_start(CommandKind::Shutdown).unwrap();
        assert!(running.try_start(CommandKind::Shutdown).is_none());
        assert!(running.try_start(CommandKind::Reboot).is_some());
        drop(permit);
        assert!(running.try_start(CommandKind::Shutdown).is_some());
    }
}
