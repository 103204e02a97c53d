//! The process itself: started by the daemon as `/proc/self/exe attendant`, which no help mentions.

use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use super::{News, STACK, Started, Which, run};
use crate::config::Commands;

/// The word on the command line.
pub(crate) const WORD: &str = "attendant";

/// What the service manager told the daemon about itself; none of it is for those it starts.
const FOR_THE_DAEMON: [&str; 6] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Starts it, if there is a command to run. Before the rights are given up, and before any thread.
///
/// # Errors
/// One line.
pub(crate) fn start(commands: &Commands) -> Result<Option<Started>, String> {
    if Which::ALL.iter().all(|which| which.words(commands).is_empty()) {
        return Ok(None);
    }
    let told =
        |fault: io::Error| format!("cannot start the process that runs the commands: {fault}");
    // The program that runs, even if its file was replaced since.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("applianced").arg(WORD).stdin(Stdio::piped()).stdout(Stdio::piped());
    // The daemon's log is the daemon's; and ^C at a terminal is for it alone.
    command.stderr(Stdio::null()).current_dir("/").process_group(0);
    for name in FOR_THE_DAEMON {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(told)?;
    let (Some(mut orders), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(told(io::ErrorKind::BrokenPipe.into()));
    };
    let known: serde_json::Map<_, _> = Which::ALL
        .iter()
        .map(|which| (which.word().to_owned(), json!(which.words(commands))))
        .collect();
    writeln!(orders, "{}", json!(known)).map_err(told)?;
    Ok(Some(Started { orders, said, child }))
}

/// Runs what is ordered until the daemon ends, and what runs then to its end: it may be what starts
/// the daemon anew.
///
/// # Errors
/// When the first line on standard input names no commands, as when somebody typed the word.
pub(crate) fn serve() -> Result<(), String> {
    // Its file has the name "exe" otherwise, in ps and in the kernel's log.
    let _ = rustix::thread::set_name(c"attendant");
    attend(io::stdin().lock(), io::stdout())
}

pub(crate) fn attend(
    orders: impl BufRead,
    said: impl Write + Send + 'static,
) -> Result<(), String> {
    let mut orders = orders.lines().map_while(Result::ok);
    let first = orders.next().unwrap_or_default();
    let known: serde_json::Map<_, _> = serde_json::from_str(&first)
        .map_err(|_| "the attendant is started by the daemon, not by hand".to_owned())?;
    let words = |which: Which| -> Vec<String> {
        let words = known.get(which.word()).and_then(|words| words.as_array());
        words.into_iter().flatten().filter_map(|word| word.as_str()).map(str::to_owned).collect()
    };
    let said = Arc::new(Mutex::new(said));
    let mut running = Vec::new();
    for which in orders.filter_map(|word| Which::named(&word)) {
        let (words, said) = (words(which), Arc::clone(&said));
        let tell = move |news: &News| {
            if let Ok(mut said) = said.lock() {
                // The daemon may be gone.
                let _ = said.write_all(news.write(which).as_bytes()).and_then(|()| said.flush());
            }
        };
        let unable = tell.clone();
        let started = thread::Builder::new().name(which.word().to_owned()).stack_size(STACK).spawn(
            move || {
                let relay = tell.clone();
                let end = run::ended_well(&words, move |line| relay(&News::Said(line)));
                tell(&News::Ended(end));
            },
        );
        match started {
            Ok(thread) => running.push(thread),
            Err(fault) => unable(&News::Ended(Err(format!("no thread to run it: {fault}")))),
        }
        running.retain(|thread| !thread.is_finished());
    }
    for thread in running {
        let _ = thread.join();
    }
    Ok(())
}
