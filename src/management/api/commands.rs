//! The right to run a command of the settings: never twice at the same time, and its end is logged.
//! The attendant runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::helper::{CommandHelper, Which};
use crate::log::Log;

/// Which commands are under way, from the order to their end.
#[derive(Debug, Default)]
pub(crate) struct RunningCommands([AtomicBool; 3]);

impl RunningCommands {
    /// The right to run a command; `None` while it is under way already.
    pub(crate) fn take(self: &Arc<RunningCommands>, which: Which) -> Option<Turn> {
        let taken = self.0[which as usize].swap(true, Ordering::AcqRel);
        (!taken).then(|| Turn { turns: Arc::clone(self), which })
    }
}

/// The right to run one command once; dropping it lets the next one have it.
pub(crate) struct Turn {
    turns: Arc<RunningCommands>,
    which: Which,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0[self.which as usize].store(false, Ordering::Release);
    }
}

impl Turn {
    /// Has the command run and waits for its end.
    ///
    /// # Errors
    /// Why it did not run or end well, for the person; it is in the log already.
    pub(crate) fn run(self, attendant: &CommandHelper, log: &Log) -> Result<(), String> {
        let name = self.which.word();
        let ran = attendant
            .run(self.which)
            .map_err(|fault| format!("the command \"commands.{name}\" failed: {fault}"));
        match &ran {
            Ok(()) => log.info(format_args!("{name}: ended well")),
            Err(fault) => log.error(fault),
        }
        ran
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::{RunningCommands, Which};

    #[test]
    fn a_command_has_one_turn_at_a_time() {
        let turns = Arc::new(RunningCommands::default());
        let turn = turns.take(Which::Shutdown).unwrap();
        assert!(turns.take(Which::Shutdown).is_none());
        assert!(turns.take(Which::Reboot).is_some());
        drop(turn);
        assert!(turns.take(Which::Shutdown).is_some());
    }
}
