//! The helper process, which the daemon starts as `/proc/self/exe command-helper`; it is not in the help.

use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::{CommandKind, HelperProcess, STACK, document, exited, lock, printed, run};
use crate::config::Commands;
use crate::util::json;

/// The subcommand.
pub(crate) const WORD: &str = "command-helper";

/// Variables that a service manager sets for the daemon alone.
const DAEMON_ONLY: [&str; 6] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Starts the helper if a command is configured. Must run before the rights are given up and before any
/// thread is started.
pub(crate) fn start(commands: &Commands) -> Result<Option<HelperProcess>, String> {
    if !CommandKind::ALL.iter().any(|kind| commands.has(*kind)) {
        return Ok(None);
    }
    let failed = |error: io::Error| format!("cannot start the command helper: {error}");
    // The running program, even if its file was replaced since.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("applianced").arg(WORD).stdin(Stdio::piped()).stdout(Stdio::piped());
    // Only the daemon writes its log, and ^C at a terminal is for the daemon alone.
    command.stderr(Stdio::null()).current_dir("/").process_group(0);
    for name in DAEMON_ONLY {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(failed)?;
    let (Some(mut requests), Some(messages)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed(io::ErrorKind::BrokenPipe.into()));
    };
    let argv = |kind: &CommandKind| (kind.name().to_owned(), json!(commands.argv(*kind)));
    let known: Value = CommandKind::ALL.iter().map(argv).collect();
    writeln!(requests, "{known}").map_err(failed)?;
    Ok(Some(HelperProcess { requests, messages, child }))
}

/// Runs requested commands until the daemon ends, then waits for those still running: one of them may
/// restart the daemon.
///
/// # Errors
/// When the first line on standard input names no commands, as when a user runs the subcommand.
pub(crate) fn serve() -> Result<(), String> {
    // Without this, ps and the kernel's log call the process "exe".
    let _ = rustix::thread::set_name(c"command-helper");
    serve_streams(io::stdin().lock(), io::stdout())
}

pub(crate) fn serve_streams(
    requests: impl BufRead,
    messages: impl Write + Send + 'static,
) -> Result<(), String> {
    let mut requests = requests.lines().map_while(Result::ok);
    let first = requests.next().unwrap_or_default();
    let Ok(Value::Object(known)) = json::parse(first.as_bytes()) else {
        return Err("the command helper is started by the daemon, not by hand".to_owned());
    };
    let messages = Arc::new(Mutex::new(messages));
    let mut running = Vec::new();
    for line in requests {
        let (word, document) = line.split_once(' ').unwrap_or((&line, ""));
        let Some(kind) = CommandKind::parse(word) else { continue };
        let words = known.get(word).and_then(Value::as_array).into_iter().flatten();
        let words: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
        let messages = Arc::clone(&messages);
        let document = document::lines(document);
        let send = move |message: String| {
            let mut messages = lock(&messages);
            // The daemon may have exited.
            let _ = messages.write_all(message.as_bytes()).and_then(|()| messages.flush());
        };
        let send_error = send.clone();
        let started = thread::Builder::new().name(kind.name().to_owned()).stack_size(STACK).spawn(
            move || {
                let send_output = send.clone();
                let log_line = move |line: String| send_output(printed(kind, &line));
                let end = document.and_then(|document| run::execute(&words, &document, log_line));
                send(exited(kind, &end));
            },
        );
        match started {
            Ok(thread) => running.push(thread),
            Err(error) => {
                let error = format!("cannot start a thread to run it: {error}");
                send_error(exited(kind, &Err(error)));
            }
        }
        running.retain(|thread| !thread.is_finished());
    }
    for thread in running {
        let _ = thread.join();
    }
    Ok(())
}
