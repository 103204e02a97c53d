//! Standard input, line by line, and what a terminal does otherwise for a moment: not echo, not edit.
//!
//! However the program ends, the terminal is left as it was found. While it is changed, SIGINT,
//! SIGTERM, SIGHUP and SIGQUIT are waited for beside the input; otherwise they do what they always do.

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

use super::Gone;

/// How the terminal treats what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it was found.
    Usual,
    /// Nothing typed is shown.
    Hidden,
    /// Each byte as it comes, unshown: a terminal that edits lines loses what follows the 4,095th byte.
    Bytewise,
}

/// The keyboard, which may be a pipe.
pub(super) struct Keyboard {
    stdin: Stdin,
    /// What was read and not yet asked for; wiped, for it may be a password.
    pending: Zeroizing<Vec<u8>>,
    terminal: Option<Terminal>,
    manner: Manner,
}

struct Terminal {
    found: Termios,
    signals: Signals,
}

struct Signals {
    /// A signal does what it always does.
    usual: Arc<AtomicBool>,
    last: Arc<AtomicUsize>,
    heard: UnixStream,
}

impl Keyboard {
    pub(super) fn new() -> Keyboard {
        let stdin = io::stdin();
        let found = if isatty(&stdin) { tcgetattr(&stdin).ok() } else { None };
        // Without signals nobody would put the terminal back, so it is not changed then.
        let terminal =
            found.and_then(|found| Some(Terminal { found, signals: Signals::listen().ok()? }));
        let pending = Zeroizing::new(Vec::with_capacity(4096));
        Keyboard { stdin, pending, terminal, manner: Manner::Usual }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Changes the manner; back to [`Manner::Usual`] is the caller's duty, or the drop's.
    pub(super) fn set(&mut self, manner: Manner) {
        let Some(terminal) = &self.terminal else { return };
        let mut modes = terminal.found.clone();
        match manner {
            Manner::Usual => {}
            Manner::Hidden => {
                modes.local_modes.remove(LocalModes::ECHO);
                modes.local_modes.insert(LocalModes::ECHONL);
            }
            Manner::Bytewise => {
                modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
                modes.input_modes.remove(InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR);
                modes.special_codes[SpecialCodeIndex::VMIN] = 1;
                modes.special_codes[SpecialCodeIndex::VTIME] = 0;
            }
        }
        if manner != Manner::Usual {
            // Stopped in the middle, it would leave a terminal that echoes nothing.
            modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
            terminal.signals.usual.store(false, Ordering::SeqCst);
        }
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &modes);
        if manner == Manner::Usual {
            terminal.signals.usual.store(true, Ordering::SeqCst);
        }
        self.manner = manner;
    }

    /// The next byte.
    ///
    /// # Errors
    /// At the end of the input.
    pub(super) fn byte(&mut self) -> Result<u8, Gone> {
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

    fn read(&mut self) -> Result<(), Gone> {
        if self.manner != Manner::Usual {
            self.wait();
        }
        let mut piece = Zeroizing::new([0; 4096]);
        match self.stdin.lock().read(&mut *piece) {
            Ok(0) => Err(Gone),
            Ok(count) => {
                self.pending.extend_from_slice(&piece[..count]);
                Ok(())
            }
            Err(fault) if fault.kind() == ErrorKind::Interrupted => Ok(()),
            // A line that was hung up reads as an error (EIO).
            Err(_) => Err(Gone),
        }
    }

    /// Until there is input; a signal puts the terminal back first and then does what it always does.
    fn wait(&mut self) {
        let Some(Terminal { signals, .. }) = &self.terminal else { return };
        let mut waited =
            [PollFd::new(&self.stdin, PollFlags::IN), PollFd::new(&signals.heard, PollFlags::IN)];
        while matches!(poll(&mut waited, None), Err(rustix::io::Errno::INTR)) {}
        let signal = signals.last.load(Ordering::SeqCst);
        if signal != 0 {
            self.set(Manner::Usual);
            let _ = low_level::emulate_default_handler(i32::try_from(signal).unwrap_or(SIGTERM));
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if self.manner != Manner::Usual {
            self.set(Manner::Usual);
        }
    }
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        let usual = Arc::new(AtomicBool::new(true));
        let last = Arc::new(AtomicUsize::new(0));
        let (heard, told) = UnixStream::pair()?;
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15), (SIGHUP, 1), (SIGQUIT, 3)] {
            flag::register_conditional_default(signal, Arc::clone(&usual))?;
            flag::register_usize(signal, Arc::clone(&last), number)?;
            low_level::pipe::register(signal, told.try_clone()?)?;
        }
        Ok(Signals { usual, last, heard })
    }
}
