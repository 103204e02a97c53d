//! An HTTP client of the control socket, for the commands that talk to a running daemon.
//!
//! One request per connection, over HTTP/1.1; the answer has a length, and one deadline covers it all.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::socket;

/// Longest exchange; a local answer takes milliseconds, one with a password hash half a second.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer in bytes, head included; a report for support is smaller.
const MAX_RESPONSE: usize = 5 << 20;

/// Most header fields of an answer.
const MAX_FIELDS: usize = 32;

/// An answer of the daemon.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The JSON body; null if there is none.
    pub(crate) body: Value,
}

impl Reply {
    /// The error message of a reply other than 200.
    pub(crate) fn error_message(&self) -> String {
        let said = [&self.body["message"], &self.body["error"]].into_iter().find_map(Value::as_str);
        match said {
            Some(said) => said.to_owned(),
            None => format!("the daemon answered with status {}", self.status),
        }
    }
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Error {
    /// No process listens on the socket.
    NotRunning,
    /// No valid answer came; the text says what happened.
    Failed(String),
}

/// Sends a request without a body to the daemon that listens on `path`.
pub(crate) fn request(path: &Path, method: &str, target: &str) -> Result<Reply, Error> {
    send(path, method, target, (JSON, b""), TIMEOUT)
}

/// The content type of most bodies.
pub(crate) const JSON: &str = "application/json";

/// Sends a request with a body, after its content type; the whole exchange may take `timeout`.
pub(crate) fn send(
    path: &Path,
    method: &str,
    target: &str,
    body: (&str, &[u8]),
    timeout: Duration,
) -> Result<Reply, Error> {
    let (status, body) = fetch(path, method, target, body, timeout)?;
    // tiny_http's own error responses have none.
    let body = match body.is_empty() {
        true => Ok(Value::Null),
        false => serde_json::from_slice(&body),
    };
    body.map(|body| Reply { status, body })
        .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
}

/// As [`send`], for an answer that is not JSON: its status and its body.
pub(crate) fn fetch(
    path: &Path,
    method: &str,
    target: &str,
    body: (&str, &[u8]),
    timeout: Duration,
) -> Result<(u16, Vec<u8>), Error> {
    let result = socket::connect_within(path, timeout)
        .and_then(|stream| exchange(stream, method, target, body, timeout));
    result.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::NotRunning,
        kind => Error::Failed(format!(
            "{}: {}",
            path.display(),
            match kind {
                ErrorKind::PermissionDenied =>
                    "only the administrator may open it; run this as root".to_owned(),
                // The error kind of a socket timeout depends on the system.
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    format!("the daemon did not answer within {} seconds", timeout.as_secs())
                }
                ErrorKind::UnexpectedEof => {
                    "the daemon closed the connection before its answer was complete".to_owned()
                }
                _ => error.to_string(),
            }
        )),
    })
}

fn exchange(
    mut stream: UnixStream,
    method: &str,
    target: &str,
    body: (&str, &[u8]),
    timeout: Duration,
) -> io::Result<(u16, Vec<u8>)> {
    let (content_type, body) = body;
    let until = Instant::now() + timeout;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(
        format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if let Some((status, body)) = complete(&answer)? {
            return Ok((status, answer.split_off(body)));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() > MAX_RESPONSE {
            return Err(malformed("the daemon's answer is larger than 5 MiB"));
        }
    }
}

/// The status, and where the body begins; `None` while the answer is incomplete.
fn complete(answer: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(end) = head.parse(answer).map_err(malformed)? else {
        return Ok(None);
    };
    let length = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("Content-Length"))
        .and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok())
        .ok_or_else(|| malformed("the daemon's answer has no length"))?;
    let is_whole = answer.len() - end >= length;
    Ok(is_whole.then_some((head.code.unwrap_or(0), end)))
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::{Error, complete, request};

    #[test]
    fn an_answer_is_complete_when_its_length_is_there() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nX: y\r\n\r\n{\"a\": true}";
        for end in 0..answer.len() {
            assert_eq!(complete(&answer[..end]).unwrap(), None, "{end}");
        }
        assert_eq!(complete(answer).unwrap(), Some((200, answer.len() - 11)));
    }

    #[test]
    fn an_answer_without_a_length_or_without_sense_is_refused() {
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(complete(b"SSH-2.0-OpenSSH\r\n").is_err());
    }

    #[test]
    fn nobody_there_is_not_running() {
        let failure = request(Path::new("/nowhere/control.sock"), "GET", "/").unwrap_err();
        assert!(matches!(failure, Error::NotRunning));
    }
}
