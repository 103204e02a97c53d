//! A small process that runs the configured commands with the rights the daemon was started with.
//!
//! The daemon gives those rights up, and its seccomp filter has no `execve`. So it starts the helper first
//! and sends it the commands once; later it can only name the one to run, and send a document for the standard
//! input of that command. They exchange lines over the helper's standard input and output. The helper has no other open file and ends with the daemon.
//! In: both sides. Out: which client may run which command (`management`).

mod document;
mod process;
mod run;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

pub(crate) use crate::helper::process::serve;
pub(crate) use crate::helper::process::{WORD, start};

use crate::config::Commands;
use crate::log::Log;

/// Stack in bytes of a thread that waits for a command or reads its output.
pub(crate) const STACK: usize = 128 * 1024;

/// A configured command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CommandKind {
    Reboot,
    Shutdown,
    RestartServices,
    Network,
    Clock,
}

impl CommandKind {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = 5;

    const ALL: [CommandKind; CommandKind::COUNT] = [
        CommandKind::Reboot,
        CommandKind::Shutdown,
        CommandKind::RestartServices,
        CommandKind::Network,
        CommandKind::Clock,
    ];

    /// The command's name in the settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            CommandKind::Reboot => "reboot",
            CommandKind::Shutdown => "shutdown",
            CommandKind::RestartServices => "restart_services",
            CommandKind::Network => "network",
            CommandKind::Clock => "clock",
        }
    }

    fn from_name(word: &str) -> Option<CommandKind> {
        CommandKind::ALL.into_iter().find(|kind| kind.name() == word)
    }

    /// The program and its arguments.
    pub(crate) fn argv(self, commands: &Commands) -> &[String] {
        match self {
            CommandKind::Reboot => &commands.reboot,
            CommandKind::Shutdown => &commands.shutdown,
            CommandKind::RestartServices => &commands.restart_services,
            CommandKind::Network => &commands.network,
            CommandKind::Clock => &commands.clock,
        }
    }
}

/// The daemon's side of the helper.
#[derive(Default)]
pub(crate) struct CommandHelper {
    /// Absent if no command is configured.
    requests: Option<Mutex<Box<dyn Write + Send>>>,
    completions: Arc<Completions>,
}

/// The end of a command; the error says why it did not run or failed, as a sentence for the administrator.
type End = Result<(), String>;

/// Callers that wait for the end of a command.
#[derive(Debug, Default)]
struct Completions(Mutex<BTreeMap<CommandKind, Sender<End>>>);

impl CommandHelper {
    /// Reads the messages of a started helper; without one, no command can be run.
    pub(crate) fn new(process: Option<HelperProcess>, log: &Log) -> Result<CommandHelper, String> {
        let Some(HelperProcess { requests, messages, mut child }) = process else {
            return Ok(CommandHelper::default());
        };
        CommandHelper::over(requests, messages, log, move || drop(child.wait()))
    }

    /// As [`CommandHelper::new`], over any two streams; `at_end` is called when the helper has closed its own.
    fn over(
        requests: impl Write + Send + 'static,
        messages: impl Read + Send + 'static,
        log: &Log,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<CommandHelper, String> {
        let (completions, log) = (Arc::<Completions>::default(), log.clone());
        let waiting = Arc::clone(&completions);
        thread::Builder::new()
            .name("command-helper".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                for line in BufReader::new(messages).lines().map_while(Result::ok) {
                    on_message(&line, &waiting, &log);
                }
                // Their commands can't end any more.
                waiting.lock().clear();
                at_end();
            })
            .map_err(|error| format!("cannot start the thread of the command helper: {error}"))?;
        Ok(CommandHelper { requests: Some(Mutex::new(Box::new(requests))), completions })
    }

    /// Runs a command and waits for its end; its output goes to the log meanwhile. A command must not be run
    /// twice at the same time.
    pub(crate) fn run(&self, kind: CommandKind) -> Result<(), String> {
        self.request(kind, None)?.recv().unwrap_or_else(|_| Err(HELPER_EXITED.into()))
    }

    /// As [`CommandHelper::run`], with a document on the command's standard input; waits at most `limit`. A
    /// command that takes longer goes on.
    pub(crate) fn run_with(
        &self,
        kind: CommandKind,
        document: &Map<String, Value>,
        limit: Duration,
    ) -> Result<(), String> {
        match self.request(kind, Some(document))?.recv_timeout(limit) {
            Ok(end) => end,
            Err(RecvTimeoutError::Disconnected) => Err(HELPER_EXITED.into()),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("it has not ended within {} s", limit.as_secs()))
            }
        }
    }

    fn request(
        &self,
        kind: CommandKind,
        document: Option<&Map<String, Value>>,
    ) -> Result<Receiver<End>, String> {
        let Some(requests) = &self.requests else { return Err(NOT_CONFIGURED.into()) };
        let (sender, receiver) = channel();
        self.completions.lock().insert(kind, sender);
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match document {
            None => format!("{}\n", kind.name()),
            Some(document) => format!("{} {}\n", kind.name(), json!(document)),
        };
        let sent = requests.write_all(line.as_bytes()).and_then(|()| requests.flush());
        sent.map(|()| receiver).map_err(|_| HELPER_EXITED.into())
    }
}

const HELPER_EXITED: &str = "the command helper has exited; restart applianced to start it again";
const NOT_CONFIGURED: &str = "it is not configured";

impl Completions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<CommandKind, Sender<End>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A helper that was started before the rights were given up, and whose messages are not read yet.
#[derive(Debug)]
pub(crate) struct HelperProcess {
    requests: ChildStdin,
    messages: ChildStdout,
    child: Child,
}

/// A message about a command.
enum HelperMessage {
    /// A line of its output.
    Output(String),
    /// The command has ended, successfully or not.
    Exited(End),
}

impl HelperMessage {
    fn write(&self, kind: CommandKind) -> String {
        let message = match self {
            HelperMessage::Output(line) => json!([kind.name(), "output", line]),
            HelperMessage::Exited(end) => {
                json!([kind.name(), "exited", end.as_ref().err()])
            }
        };
        format!("{message}\n")
    }

    fn read(line: &str) -> Option<(CommandKind, HelperMessage)> {
        let message: Value = serde_json::from_str(line).ok()?;
        let kind = CommandKind::from_name(message.get(0)?.as_str()?)?;
        let text = message.get(2)?.as_str().map(str::to_owned);
        match message.get(1)?.as_str()? {
            "output" => Some((kind, HelperMessage::Output(text?))),
            "exited" => Some((kind, HelperMessage::Exited(text.map_or(Ok(()), Err)))),
            _ => None,
        }
    }
}

fn on_message(line: &str, completions: &Completions, log: &Log) {
    match HelperMessage::read(line) {
        Some((kind, HelperMessage::Output(text))) => {
            log.info(format_args!("{}: {text}", kind.name()));
        }
        Some((kind, HelperMessage::Exited(end))) => {
            if let Some(waiting) = completions.lock().remove(&kind) {
                // The caller may have stopped waiting.
                let _ = waiting.send(end);
            }
        }
        None => log.warn("ignoring an unknown message from the command helper"),
    }
}

#[cfg(test)]
mod tests;
