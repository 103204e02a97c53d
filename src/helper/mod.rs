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

pub(crate) use crate::config::CommandKind;
use crate::log::Log;
use crate::util::json;

/// Stack in bytes of a thread that waits for a command or reads its output.
pub(crate) const STACK: usize = 128 * 1024;

/// The daemon's side of the helper.
#[derive(Default)]
pub(crate) struct CommandHelper {
    /// Absent if no command is configured.
    requests: Option<Mutex<Box<dyn Write + Send>>>,
    waiting: Arc<Waiting>,
}

/// The end of a command; the error says why it did not run or failed, as a sentence for the administrator.
type End = Result<(), String>;

/// Callers that wait for the end of a command.
type Waiting = Mutex<BTreeMap<CommandKind, Sender<End>>>;

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
        let (waiting, log) = (Arc::<Waiting>::default(), log.clone());
        let told = Arc::clone(&waiting);
        thread::Builder::new()
            .name("command-helper".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                for line in BufReader::new(messages).lines().map_while(Result::ok) {
                    on_message(&line, &told, &log);
                }
                // Their commands can't end any more.
                lock(&told).clear();
                at_end();
            })
            .map_err(|error| format!("cannot start the thread of the command helper: {error}"))?;
        Ok(CommandHelper { requests: Some(Mutex::new(Box::new(requests))), waiting })
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
        lock(&self.waiting).insert(kind, sender);
        let mut requests = lock(requests);
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

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A helper that was started before the rights were given up, and whose messages are not read yet.
#[derive(Debug)]
pub(crate) struct HelperProcess {
    requests: ChildStdin,
    messages: ChildStdout,
    child: Child,
}

/// The message that a command has printed a line, as a line of the helper's output.
fn printed(kind: CommandKind, line: &str) -> String {
    format!("{}\n", json!([kind.name(), "output", line]))
}

/// The message that a command has ended.
fn exited(kind: CommandKind, end: &End) -> String {
    format!("{}\n", json!([kind.name(), "exited", end.as_ref().err()]))
}

fn on_message(line: &str, waiting: &Waiting, log: &Log) {
    let message = json::parse(line.as_bytes()).unwrap_or_default();
    let kind = message[0].as_str().and_then(CommandKind::parse);
    match (kind, message[1].as_str(), message[2].as_str()) {
        (Some(kind), Some("output"), Some(text)) => {
            log.info(format_args!("{}: {text}", kind.name()));
        }
        (Some(kind), Some("exited"), fault) => {
            if let Some(caller) = lock(waiting).remove(&kind) {
                // The caller may have stopped waiting.
                let _ = caller.send(fault.map_or(Ok(()), |fault| Err(fault.to_owned())));
            }
        }
        _ => log.warn("ignoring an unknown message from the command helper"),
    }
}

#[cfg(test)]
mod tests;
