//! Programs whose clock is wrong, and is set while they run.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::command::run;
use super::folder::Folder;
use super::prerequisites::traceable;

/// Seconds.
pub(crate) const DAY: i64 = 86_400;

/// The clock of whatever runs by it: right until it is set.
pub(crate) struct Clock {
    folder: Folder,
}

impl Clock {
    pub(crate) fn right() -> Clock {
        let clock = Clock { folder: Folder::new() };
        clock.set(0, 0);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/support/clock.c");
        let built = run(Command::new("gcc").args(["-O1", "-o"]).arg(clock.tracer()).arg(source));
        assert_eq!(built.code, 0, "{built:?}");
        clock
    }

    /// So many seconds from what is right: the time of day, and the time since the machine started.
    pub(crate) fn set(&self, real: i64, boot: i64) {
        // In place and of one length, so that whoever looks sees one time or the other.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.offsets());
        file.unwrap().write_all_at(format!("{real:<19} {boot:<19}\n").as_bytes(), 0).unwrap();
    }

    /// A machine that slept so many seconds.
    pub(crate) fn sleep(&self, seconds: i64) {
        self.set(seconds, seconds);
    }

    /// The license authority, by this clock.
    pub(crate) fn of(&self, command: &Command) -> Command {
        self.by(Command::new(self.tracer()), command)
    }

    /// The daemon, by this clock. Its memory is closed, so the test asks [`can_trace`] first.
    ///
    /// [`can_trace`]: super::prerequisites::can_trace
    pub(crate) fn of_daemon(&self, command: &Command) -> Command {
        self.by(traceable(self.tracer()), command)
    }

    fn by(&self, mut by: Command, command: &Command) -> Command {
        by.arg(self.offsets()).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => by.env(name, value),
                None => by.env_remove(name),
            };
        }
        by
    }

    fn offsets(&self) -> PathBuf {
        self.folder.path().join("offsets")
    }

    fn tracer(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}
