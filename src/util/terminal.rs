//! What commands print: results on standard output, errors on standard error.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints one line on standard error that begins with the program's name. Control characters are escaped, because
/// some of it comes from files.
pub(crate) fn complain(program: &str, fault: impl Display) {
    let mut line = format!("{program}: ");
    for c in fault.to_string().chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints `text`, if any, with a line end. A closed pipe is no error.
///
/// # Errors
/// A sentence, when standard output can't be written.
pub(crate) fn print(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("can't write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}
