//! One run of a command: without a shell, its output line by line, reaped.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::process::{Command, Stdio};
use std::thread;

use super::{NOT_CONFIGURED, STACK};

/// Longest piece of a command's output that is one line of the log, in bytes.
const LONGEST_LINE: u64 = 1_000;

/// Lines of one run that are told; what follows is read and dropped, so that the command goes on.
pub(crate) const MOST_LINES: usize = 200;

/// Runs the program `words[0]` with the other words and waits for its end.
///
/// # Errors
/// Why it did not run or end well, for the person.
pub(crate) fn ended_well(
    words: &[String],
    tell: impl Fn(String) + Send + 'static,
) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(NOT_CONFIGURED.to_owned());
    };
    let told = |fault: std::io::Error| format!("{program}: {fault}");
    let (said, to_say) = std::io::pipe().map_err(told)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(to_say.try_clone().map_err(told)?)
        .stderr(to_say);
    // What the command leaves running may go on talking, so nobody waits for the end of the output.
    let reading = thread::Builder::new().name("command-output".to_owned()).stack_size(STACK);
    reading
        .spawn(move || relay(said, tell))
        .map_err(|fault| format!("no thread to read its output: {fault}"))?;
    let mut child = command.spawn().map_err(told)?;
    // Our copies of the writing end go with it, so that the reading end sees the command's end.
    drop(command);
    match child.wait().map_err(told)? {
        status if status.success() => Ok(()),
        status => Err(format!("{program} ended with {status}; the log has what it said")),
    }
}

fn relay(said: PipeReader, tell: impl Fn(String)) {
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        match said.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if number < MOST_LINES => {
                tell(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            Ok(1..) => {}
            _ => return,
        }
    }
}
