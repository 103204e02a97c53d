//! The commands of the settings: run without a shell, never twice at the same time, reaped, and what
//! they say goes to the log.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::log::Log;

/// Stack of a thread that waits for a command or reads what it says, in bytes.
pub(super) const STACK: usize = 128 * 1024;

/// Longest piece of a command's output that is one line of the log, in bytes.
const LONGEST_LINE: u64 = 1_000;

/// Lines of one run that are logged; what follows is read and dropped, so that the command goes on.
const MOST_LINES: usize = 200;

/// A command of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Reboot,
    Shutdown,
    RestartServices,
}

impl Which {
    /// Its name in the settings.
    pub(super) fn word(self) -> &'static str {
        match self {
            Which::Reboot => "reboot",
            Which::Shutdown => "shutdown",
            Which::RestartServices => "restart_services",
        }
    }
}

/// Which commands are under way, from the order to their end.
#[derive(Debug, Default)]
pub struct Turns([AtomicBool; 3]);

impl Turns {
    /// The right to run a command; `None` while it is under way already.
    pub(super) fn take(self: &Arc<Turns>, which: Which) -> Option<Turn> {
        let taken = self.0[which as usize].swap(true, Ordering::AcqRel);
        (!taken).then(|| Turn { turns: Arc::clone(self), which })
    }
}

/// The right to run one command once; dropping it lets the next one have it.
pub(super) struct Turn {
    turns: Arc<Turns>,
    which: Which,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0[self.which as usize].store(false, Ordering::Release);
    }
}

impl Turn {
    /// Runs the program `words[0]` with the other words and waits for its end.
    ///
    /// # Errors
    /// Why it did not run or end well, for the person; it is in the log already.
    pub(super) fn run(self, words: &[String], log: &Log) -> Result<(), String> {
        let name = self.which.word();
        let ran = ended_well(name, words, log)
            .map_err(|fault| format!("the command \"commands.{name}\" failed: {fault}"));
        match &ran {
            Ok(()) => log.info(format_args!("{name}: ended well")),
            Err(fault) => log.error(fault),
        }
        ran
    }
}

fn ended_well(name: &'static str, words: &[String], log: &Log) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("it is not configured".to_owned());
    };
    let told = |fault: std::io::Error| format!("{program}: {fault}");
    let (said, to_say) = std::io::pipe().map_err(told)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(to_say.try_clone().map_err(told)?)
        .stderr(to_say)
        // It is the daemon that the service manager waits for.
        .env_remove("NOTIFY_SOCKET");
    let mut child = command.spawn().map_err(told)?;
    // Our copies of the writing end go with it, so that the reading end sees the command's end.
    drop(command);
    // What the command leaves running may go on talking, so nobody waits for the end of the output.
    let copy = log.clone();
    let reading = thread::Builder::new().name("command-output".to_owned()).stack_size(STACK);
    if let Err(fault) = reading.spawn(move || relay(name, said, &copy)) {
        log.warn(format_args!("{name}: nobody reads its output: {fault}"));
    }
    match child.wait().map_err(told)? {
        status if status.success() => Ok(()),
        status => Err(format!("{program} ended with {status}; the log has what it said")),
    }
}

fn relay(name: &str, said: PipeReader, log: &Log) {
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        match said.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if number < MOST_LINES => {
                log.info(format_args!("{name}: {}", String::from_utf8_lossy(&line).trim_end()));
            }
            Ok(1..) => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::{MOST_LINES, Turns, Which};
    use crate::log::Log;

    fn run(words: &[&str]) -> (Result<(), String>, Arc<Mutex<String>>) {
        let kept = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&kept);
        let log = Log::to(move |line| sink.lock().unwrap().push_str(line));
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let turn = Arc::new(Turns::default()).take(Which::Reboot).unwrap();
        (turn.run(&words, &log), kept)
    }

    #[track_caller]
    fn says(log: &Mutex<String>, words: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        while !log.lock().unwrap().contains(words) {
            assert!(Instant::now() < until, "{words:?} is not in {}", log.lock().unwrap());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_command_is_its_words_and_not_a_line_for_a_shell() {
        let (ran, log) = run(&["/bin/echo", "$HOME;", "`id`", "two  blanks"]);
        assert_eq!(ran, Ok(()));
        says(&log, "info reboot: $HOME; `id` two  blanks\n");
    }

    #[test]
    fn a_command_that_fails_or_is_not_there_is_told() {
        let (ran, log) = run(&["/bin/sh", "-c", "echo no >&2; exit 3"]);
        assert!(ran.unwrap_err().contains("exit status: 3"));
        says(&log, "info reboot: no\n");
        assert!(run(&["/nowhere/reboot"]).0.unwrap_err().contains("/nowhere/reboot: No such file"));
        assert!(run(&[]).0.unwrap_err().contains("not configured"));
    }

    #[test]
    fn a_command_that_says_much_goes_on_and_does_not_fill_the_log() {
        let (ran, log) = run(&["/bin/sh", "-c", "yes | head -c 300000; echo; exit 0"]);
        assert_eq!(ran, Ok(()));
        says(&log, "ended well");
        assert!(log.lock().unwrap().lines().count() <= MOST_LINES + 1);
    }

    #[test]
    fn nobody_waits_for_what_a_command_leaves_running() {
        let begin = Instant::now();
        let (ran, _) = run(&["/bin/sh", "-c", "sleep 60 & exit 0"]);
        assert_eq!(ran, Ok(()));
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_command_has_one_turn_at_a_time() {
        let turns = Arc::new(Turns::default());
        let turn = turns.take(Which::Shutdown).unwrap();
        assert!(turns.take(Which::Shutdown).is_none());
        assert!(turns.take(Which::Reboot).is_some());
        drop(turn);
        assert!(turns.take(Which::Shutdown).is_some());
    }
}
