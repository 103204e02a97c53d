//! The table of requests that no proxy may pass on as they stand, by what is wrong with them.
//!
//! In each, `{path}` stands for a path that the listener serves. Whoever sends a case appends a second
//! request in the same packet: what a smuggler wants to get through.

pub(crate) mod chunks;
pub(crate) mod fields;
pub(crate) mod length;
pub(crate) mod odd;
pub(crate) mod request_line;
pub(crate) mod targets;

/// One request and what may become of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The section it breaks.
    pub(crate) clause: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Statuses that fit.
    pub(crate) statuses: &'static [u16],
}

const BAD: &[u16] = &[400];

/// A whole head.
fn head(name: &'static str, clause: &'static str, bytes: &[u8], statuses: &'static [u16]) -> Case {
    Case { name, clause, bytes: bytes.to_vec(), statuses }
}

/// A request line in front of a good rest.
fn line(name: &'static str, clause: &'static str, line: &[u8], statuses: &'static [u16]) -> Case {
    head(name, clause, &[line, b"\r\nHost: localhost\r\n\r\n"].concat(), statuses)
}

/// A target in a good request.
fn target(
    name: &'static str,
    clause: &'static str,
    target: &[u8],
    statuses: &'static [u16],
) -> Case {
    line(name, clause, &[b"GET ", target, b" HTTP/1.1"].concat(), statuses)
}

/// Field lines, without the last CRLF, in a good request; a body of five bytes follows.
fn fields(
    name: &'static str,
    clause: &'static str,
    lines: &[u8],
    statuses: &'static [u16],
) -> Case {
    let start = b"POST {path} HTTP/1.1\r\nHost: localhost\r\n";
    head(name, clause, &[&start[..], lines, b"\r\n\r\nhello"].concat(), statuses)
}

/// Field lines with a `Host` among them, in a good request without a body.
fn host(name: &'static str, clause: &'static str, lines: &[u8]) -> Case {
    let start = b"GET {path} HTTP/1.1\r\n";
    head(name, clause, &[&start[..], lines, b"\r\n\r\n"].concat(), &[400, 421])
}
