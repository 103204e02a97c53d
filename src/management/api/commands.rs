//! Runs the configured commands through the helper: each at most once at a time, with its result logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::helper::{CommandHelper, CommandKind, STACK};
use crate::log::Log;
use crate::management::Context;

/// The commands that are running or scheduled.
#[derive(Debug, Default)]
pub(crate) struct RunningCommands([AtomicBool; 3]);

impl RunningCommands {
    /// Permission to run a command; `None` if it is running or scheduled already.
    pub(crate) fn try_start(self: &Arc<RunningCommands>, kind: CommandKind) -> Option<RunPermit> {
        let taken = self.0[kind as usize].swap(true, Ordering::AcqRel);
        (!taken).then(|| RunPermit { running: Arc::clone(self), kind })
    }
}

/// Permission to run one command once, released when dropped.
pub(crate) struct RunPermit {
    running: Arc<RunningCommands>,
    kind: CommandKind,
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        self.running.0[self.kind as usize].store(false, Ordering::Release);
    }
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

    use std::sync::Arc;

    use super::{CommandKind, RunningCommands};

    #[test]
    fn a_command_has_one_turn_at_a_time() {
        let running = Arc::new(RunningCommands::default());
        let permit = running.try_start(CommandKind::Shutdown).unwrap();
        assert!(running.try_start(CommandKind::Shutdown).is_none());
        assert!(running.try_start(CommandKind::Reboot).is_some());
        drop(permit);
        assert!(running.try_start(CommandKind::Shutdown).is_some());
    }
}
