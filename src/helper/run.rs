//! Runs one command without a shell, passes on its output line by line, and reaps it.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use super::{NOT_CONFIGURED, STACK};

/// Longest line of output that is logged, in bytes.
const MAX_LINE: u64 = 1_000;

/// Most lines of one run that are logged; the rest is read and dropped, so that the command can go on.
pub(crate) const MAX_LINES: usize = 200;

/// Runs the program `argv[0]` with the other arguments, `input` on its standard input, and waits for its end.
pub(crate) fn execute(
    argv: &[String],
    input: &str,
    log_line: impl Fn(String) + Send + 'static,
) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(NOT_CONFIGURED.into());
    };
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let (output, writer) = std::io::pipe().map_err(failed)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer);
    // Background processes of the command may keep the pipe open, so its end is not waited for.
    let reading = thread::Builder::new().name("command-output".to_owned()).stack_size(STACK);
    reading
        .spawn(move || forward(output, log_line))
        .map_err(|error| format!("cannot start a thread to read its output: {error}"))?;
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Fits into a pipe, so this never waits; the command may have ended without reading it.
        let _ = stdin.write_all(input.as_bytes());
    }
    // Closes our copies of the writing end, so that the reading end sees the command's end.
    drop(command);
    match child.wait().map_err(failed)? {
        status if status.success() => Ok(()),
        status => Err(format!("{program} ended with {status}; the log has its output")),
    }
}

fn forward(output: PipeReader, log_line: impl Fn(String)) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        match output.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if number < MAX_LINES => {
                log_line(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            Ok(1..) => {}
            _ => return,
        }
    }
}
