//! One run of a command: without a shell, its output line by line, reaped.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::process::{Command, Stdio};
use std::thread;

use super::{Error, NOT_CONFIGURED, STACK};

/// Longest piece of a command's output that is one line of the log, in bytes.
const MAX_LINE: u64 = 1_000;

/// Lines of one run that are told; what follows is read and dropped, so that the command goes on.
pub(crate) const MAX_LINES: usize = 200;

/// Runs the program `words[0]` with the other words and waits for its end.
///
/// # Errors
/// Why it did not run or end well, for the person.
pub(crate) fn execute(
    argv: &[String],
    tell: impl Fn(String) + Send + 'static,
) -> Result<(), Error> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(NOT_CONFIGURED.into());
    };
    let failed = |error: std::io::Error| Error(format!("{program}: {error}"));
    let (output, writer) = std::io::pipe().map_err(failed)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer);
    // What the command leaves running may go on talking, so nobody waits for the end of the output.
    let reading = thread::Builder::new().name("command-output".to_owned()).stack_size(STACK);
    reading
        .spawn(move || forward(output, tell))
        .map_err(|error| Error(format!("cannot start a thread to read its output: {error}")))?;
    let mut child = command.spawn().map_err(failed)?;
    // Our copies of the writing end go with it, so that the reading end sees the command's end.
    drop(command);
    match child.wait().map_err(failed)? {
        status if status.success() => Ok(()),
        status => Err(Error(format!("{program} ended with {status}; the log has its output"))),
    }
}

fn forward(output: PipeReader, tell: impl Fn(String)) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        match output.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if number < MAX_LINES => {
                tell(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            Ok(1..) => {}
            _ => return,
        }
    }
}
