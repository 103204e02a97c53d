//! A small process that runs the commands of the settings with the rights the daemon was started with.
//!
//! The daemon gives those rights up, and its filter of system calls knows no `execve`; so it starts
//! the attendant first, tells it the commands once, and can later only say which one to run. They
//! talk in lines of JSON over the attendant's standard input and output; it holds nothing else open
//! and ends with the daemon. In: both sides. Out: who may order what (`management`).

mod process;
mod run;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

pub(crate) use crate::helper::process::serve;
pub(crate) use crate::helper::process::{WORD, start};

use crate::config::Commands;
use crate::log::Log;

/// Stack of a thread that waits for a command or reads what it says, in bytes.
pub(crate) const STACK: usize = 128 * 1024;

/// A command of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    Reboot,
    Shutdown,
    RestartServices,
}

impl Which {
    const ALL: [Which; 3] = [Which::Reboot, Which::Shutdown, Which::RestartServices];

    /// Its name in the settings.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Which::Reboot => "reboot",
            Which::Shutdown => "shutdown",
            Which::RestartServices => "restart_services",
        }
    }

    fn named(word: &str) -> Option<Which> {
        Which::ALL.into_iter().find(|which| which.word() == word)
    }

    /// The program and its arguments.
    pub(crate) fn words(self, commands: &Commands) -> &[String] {
        match self {
            Which::Reboot => &commands.reboot,
            Which::Shutdown => &commands.shutdown,
            Which::RestartServices => &commands.restart_services,
        }
    }
}

/// The daemon's side.
#[derive(Default)]
pub(crate) struct CommandHelper {
    /// Absent where no command is configured.
    orders: Option<Mutex<Box<dyn Write + Send>>>,
    ends: Arc<Ends>,
}

type End = Result<(), String>;

/// Who waits for the end of which command.
#[derive(Debug, Default)]
struct Ends(Mutex<BTreeMap<Which, Sender<End>>>);

impl CommandHelper {
    /// Listens to an attendant that was started; without one, no command can be run.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(started: Option<Started>, log: &Log) -> Result<CommandHelper, String> {
        let Some(Started { orders, said, mut child }) = started else {
            return Ok(CommandHelper::default());
        };
        CommandHelper::over(orders, said, log, move || drop(child.wait()))
    }

    /// The same over any two streams; `at_end` is called when the attendant has closed its own.
    fn over(
        orders: impl Write + Send + 'static,
        said: impl Read + Send + 'static,
        log: &Log,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<CommandHelper, String> {
        let (ends, log) = (Arc::<Ends>::default(), log.clone());
        let told = Arc::clone(&ends);
        thread::Builder::new()
            .name("attendant".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                for line in BufReader::new(said).lines().map_while(Result::ok) {
                    hear(&line, &told, &log);
                }
                // Nobody waits for what can't come any more.
                told.all().clear();
                at_end();
            })
            .map_err(|fault| format!("no thread for the commands: {fault}"))?;
        Ok(CommandHelper { orders: Some(Mutex::new(Box::new(orders))), ends })
    }

    /// Has one command run and waits for its end; what it says goes to the log meanwhile. Of each
    /// command one at a time.
    ///
    /// # Errors
    /// Why it did not run or end well, for the person.
    pub(crate) fn run(&self, which: Which) -> Result<(), String> {
        self.order(which)?.recv().unwrap_or_else(|_| Err(GONE.to_owned()))
    }

    fn order(&self, which: Which) -> Result<Receiver<End>, String> {
        let Some(orders) = &self.orders else { return Err(NOT_CONFIGURED.to_owned()) };
        let (tell, end) = channel();
        self.ends.all().insert(which, tell);
        let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{}\n", which.word());
        let sent = orders.write_all(line.as_bytes()).and_then(|()| orders.flush());
        sent.map(|()| end).map_err(|_| GONE.to_owned())
    }
}

const GONE: &str =
    "the process that runs the commands has ended; restart applianced to have it again";
const NOT_CONFIGURED: &str = "it is not configured";

impl Ends {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Which, Sender<End>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that was started before the rights were given up, and is not listened to yet.
#[derive(Debug)]
pub(crate) struct Started {
    orders: ChildStdin,
    said: ChildStdout,
    child: Child,
}

/// What the attendant says of a command.
enum News {
    /// A line of its output.
    Said(String),
    /// It has ended, well or not.
    Ended(End),
}

impl News {
    fn write(&self, which: Which) -> String {
        let news = match self {
            News::Said(line) => json!([which.word(), "said", line]),
            News::Ended(end) => json!([which.word(), "ended", end.as_ref().err()]),
        };
        format!("{news}\n")
    }

    fn read(line: &str) -> Option<(Which, News)> {
        let news: Value = serde_json::from_str(line).ok()?;
        let which = Which::named(news.get(0)?.as_str()?)?;
        let text = news.get(2)?.as_str().map(str::to_owned);
        match news.get(1)?.as_str()? {
            "said" => Some((which, News::Said(text?))),
            "ended" => Some((which, News::Ended(text.map_or(Ok(()), Err)))),
            _ => None,
        }
    }
}

fn hear(line: &str, ends: &Ends, log: &Log) {
    match News::read(line) {
        Some((which, News::Said(text))) => log.info(format_args!("{}: {text}", which.word())),
        Some((which, News::Ended(end))) => {
            if let Some(waiting) = ends.all().remove(&which) {
                // Whoever ordered it may have lost patience.
                let _ = waiting.send(end);
            }
        }
        None => log.warn("the process that runs the commands said what nobody understands"),
    }
}

#[cfg(test)]
mod tests;
