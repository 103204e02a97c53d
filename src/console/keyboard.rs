//! Reads standard input, and turns echo and line editing of a terminal off for a while.
//!
//! The terminal is restored however the program ends. While it is changed, SIGINT, SIGTERM, SIGHUP and
//! SIGQUIT are handled here; otherwise they have their default action.

use std::io::{self, ErrorKind, Read as _, Stdin};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr,
    tcsetattr,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{flag, low_level};
use zeroize::Zeroizing;

use super::Ended;

/// A mode of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As it was found.
    Original,
    /// Without echo.
    NoEcho,
    /// Byte by byte, without echo; a terminal in canonical mode loses what follows the 4,095th byte of a line.
    Noncanonical,
}

/// The keyboard, which may be a pipe.
pub(super) struct Keyboard {
    stdin: Stdin,
    /// Bytes that were read and not yet used; wiped, because they may be a password.
    pending: Zeroizing<Vec<u8>>,
    terminal: Option<Terminal>,
    mode: Mode,
}

struct Terminal {
    found: Termios,
    signals: Signals,
}

struct Signals {
    /// True while signals have their default action.
    default_action: Arc<AtomicBool>,
    last: Arc<AtomicUsize>,
    wakeup: UnixStream,
}

impl Keyboard {
    pub(super) fn new() -> Keyboard {
        let stdin = io::stdin();
        let found = if isatty(&stdin) { tcgetattr(&stdin).ok() } else { None };
        // Without signal handlers the terminal could not be restored, so it is not changed then.
        let terminal =
            found.and_then(|found| Some(Terminal { found, signals: Signals::listen().ok()? }));
        let pending = Zeroizing::new(Vec::with_capacity(4096));
        Keyboard { stdin, pending, terminal, mode: Mode::Original }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Changes the mode; the caller or the drop restores [`Mode::Original`].
    pub(super) fn set(&mut self, mode: Mode) {
        let Some(terminal) = &self.terminal else { return };
        let mut modes = terminal.found.clone();
        match mode {
            Mode::Original => {}
            Mode::NoEcho => {
                modes.local_modes.remove(LocalModes::ECHO);
                modes.local_modes.insert(LocalModes::ECHONL);
            }
            Mode::Noncanonical => {
                modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
                modes.input_modes.remove(InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR);
                modes.special_codes[SpecialCodeIndex::VMIN] = 1;
                modes.special_codes[SpecialCodeIndex::VTIME] = 0;
            }
        }
        if mode != Mode::Original {
            // A program stopped by Ctrl-Z would leave the terminal without echo.
            modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
            terminal.signals.default_action.store(false, Ordering::SeqCst);
        }
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &modes);
        if mode == Mode::Original {
            terminal.signals.default_action.store(true, Ordering::SeqCst);
        }
        self.mode = mode;
    }

    /// The next byte.
    ///
    /// # Errors
    /// At the end of the input.
    pub(super) fn byte(&mut self) -> Result<u8, Ended> {
        while self.pending.is_empty() {
            self.read()?;
        }
        Ok(self.pending.remove(0))
    }

    /// Whether another byte comes within `time`.
    pub(super) fn has_more(&mut self, time: Duration) -> bool {
        let time = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        let mut waited = [PollFd::new(&self.stdin, PollFlags::IN)];
        !self.pending.is_empty() || matches!(poll(&mut waited, Some(&time)), Ok(1))
    }

    fn read(&mut self) -> Result<(), Ended> {
        if self.mode != Mode::Original {
            self.wait();
        }
        let mut piece = Zeroizing::new([0; 4096]);
        match self.stdin.lock().read(&mut *piece) {
            Ok(0) => Err(Ended::Closed),
            Ok(count) => {
                self.pending.extend_from_slice(&piece[..count]);
                Ok(())
            }
            Err(fault) if fault.kind() == ErrorKind::Interrupted => Ok(()),
            // A hung-up line reads as an error (EIO).
            Err(_) => Err(Ended::Closed),
        }
    }

    /// Waits for input; on a signal restores the terminal and runs the default action.
    fn wait(&mut self) {
        let Some(Terminal { signals, .. }) = &self.terminal else { return };
        let mut waited =
            [PollFd::new(&self.stdin, PollFlags::IN), PollFd::new(&signals.wakeup, PollFlags::IN)];
        while matches!(poll(&mut waited, None), Err(rustix::io::Errno::INTR)) {}
        let signal = signals.last.load(Ordering::SeqCst);
        if signal != 0 {
            self.set(Mode::Original);
            let _ = low_level::emulate_default_handler(i32::try_from(signal).unwrap_or(SIGTERM));
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if self.mode != Mode::Original {
            self.set(Mode::Original);
        }
    }
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        let default_action = Arc::new(AtomicBool::new(true));
        let last = Arc::new(AtomicUsize::new(0));
        let (wakeup, notify) = UnixStream::pair()?;
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15), (SIGHUP, 1), (SIGQUIT, 3)] {
            flag::register_conditional_default(signal, Arc::clone(&default_action))?;
            flag::register_usize(signal, Arc::clone(&last), number)?;
            low_level::pipe::register(signal, notify.try_clone()?)?;
        }
        Ok(Signals { default_action, last, wakeup })
    }
}
