//! A person at the console: types, and reads what is shown, with the manners of a screen checked.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::support::appliance::Appliance;
use crate::support::wait::{SOON, until, within};

/// Rows of the screen.
const ROWS: usize = 24;

/// Columns of the screen.
const COLUMNS: usize = 80;

/// A console and who sits at it.
pub(crate) struct Console {
    child: Child,
    keys: Keys,
    shown: Arc<Mutex<Vec<u8>>>,
    /// Up to where the person has read.
    read: usize,
    /// Where what followed the last typed line begins.
    since: usize,
}

enum Keys {
    Terminal { master: File, slave: File },
    Pipe(Option<ChildStdin>),
}

impl Console {
    /// On a terminal of its own, so that ^C and hanging up are those of a person.
    pub(crate) fn terminal(appliance: &Appliance) -> Console {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let open = || {
            let flags =
                rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
            rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).unwrap()
        };
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let real = appliance.command("console");
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(real.get_program()).args(real.get_args()).env("TERM", "vt100");
        let slave = File::from(open());
        let stdio = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let master = File::from(master);
        let shown = collect(master.try_clone().unwrap());
        Console { child, keys: Keys::Terminal { master, slave }, shown, read: 0, since: 0 }
    }

    /// On a line that only carries bytes.
    pub(crate) fn dumb(appliance: &Appliance) -> Console {
        Console::dumb_as(&mut appliance.command("console"))
    }

    /// Runs a command line that ends in the console.
    pub(crate) fn dumb_as(command: &mut Command) -> Console {
        command.env("TERM", "dumb").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let keys = Keys::Pipe(child.stdin.take());
        let shown = collect(child.stdout.take().unwrap());
        Console { child, keys, shown, read: 0, since: 0 }
    }

    /// Waits until `text` is shown after what was read before; everything up to it.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> String {
        let found = within(SOON, || {
            let shown = self.unread();
            shown.find(text).map(|at| (shown[..at + text.len()].to_owned(), at + text.len()))
        });
        let Some((piece, length)) = found else {
            panic!("the console never showed {text:?} after:\n{}", self.all());
        };
        self.read += length;
        piece
    }

    /// Types a line, once the console asks for one with `prompt`.
    #[track_caller]
    pub(crate) fn answer(&mut self, prompt: &str, line: &str) -> String {
        let piece = self.shows(prompt);
        self.mannered();
        self.press(&format!("{line}\n"));
        piece
    }

    /// Chooses an entry of the menu by its words.
    #[track_caller]
    pub(crate) fn choose(&mut self, entry: &str) -> String {
        let piece = self.shows("Choose 0 to ");
        let mut entries: Vec<_> =
            piece.lines().rev().filter_map(|line| line.trim().split_once("  ")).collect();
        entries.sort_by_key(|(_, words)| *words != entry);
        let number = entries.iter().find(|(_, words)| words.starts_with(entry));
        let number = number.map(|(number, _)| (*number).to_owned());
        let number = number.unwrap_or_else(|| panic!("no entry {entry:?} in:\n{piece}"));
        self.shows(": ");
        self.mannered();
        self.press(&format!("{number}\n"));
        piece
    }

    /// Waits until the console asks for a choice.
    #[track_caller]
    pub(crate) fn asks(&self) {
        until(SOON, "the console asks", || self.unread().contains("Choose 0 to ").then_some(()));
    }

    /// Reads a result and goes on; what stood there.
    #[track_caller]
    pub(crate) fn go_on(&mut self) -> String {
        self.answer("Press Enter to go on: ", "")
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.press_bytes(keys.as_bytes());
    }

    pub(crate) fn press_bytes(&mut self, keys: &[u8]) {
        self.since = self.shown.lock().unwrap().len();
        match &mut self.keys {
            Keys::Terminal { master, .. } => master.write_all(keys).unwrap(),
            // Who has left does not read any more.
            Keys::Pipe(pipe) => drop(pipe.as_mut().unwrap().write_all(keys)),
        }
    }

    /// Types no more.
    pub(crate) fn hang_up(&mut self) {
        match &mut self.keys {
            Keys::Terminal { master, .. } => master.write_all(b"\x04").unwrap(),
            Keys::Pipe(pipe) => drop(pipe.take()),
        }
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        until(SOON, "the console has ended", || self.child.try_wait().unwrap())
    }

    /// Leaves as a person does.
    #[track_caller]
    pub(crate) fn leave(mut self) {
        self.choose("Leave");
        assert_eq!(self.ended().code(), Some(0));
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Whether the terminal shows what is typed, and edits lines.
    pub(crate) fn is_usual(&self) -> bool {
        let Keys::Terminal { slave, .. } = &self.keys else { return true };
        let modes = tcgetattr(slave).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// All that was ever shown.
    pub(crate) fn all(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).replace('\r', "")
    }

    fn unread(&self) -> String {
        self.all().get(self.read..).unwrap_or_default().to_owned()
    }

    /// What was shown since the last typed line fits the screen, moves no cursor and speaks no JSON.
    #[track_caller]
    fn mannered(&self) {
        let shown = self.shown.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&shown[self.since.min(shown.len())..]).replace('\r', "");
        for line in text.lines() {
            assert!(line.chars().count() < COLUMNS, "too wide: {line:?}");
        }
        // Certificates are as long as they are; what is said after one has to fit again.
        let is_certificate = |line: &str| line.len() == 64 && !line.contains(' ');
        let rows = text.lines().rev().take_while(|line| !is_certificate(line)).count();
        assert!(rows <= ROWS, "more than a screen:\n{text}");
        // Rubbing a letter out is all the movement there is.
        let moves = |c: char| c.is_control() && c != '\n' && c != '\x08';
        assert!(!text.contains(moves), "{text:?}");
        for word in ["POST ", "PUT ", "DELETE ", "GET ", "{\"", "Input exception: Input"] {
            assert!(!text.contains(word), "{word:?} says nothing to a person:\n{text}");
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        println!("--- console ---\n{}", self.all());
    }
}

/// Until the other end is gone, which a terminal tells by an error.
fn collect(mut from: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            sink.lock().unwrap().extend_from_slice(&piece[..count]);
        }
    });
    kept
}
