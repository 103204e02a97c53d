//! What may be asked of the open port, and how much of it is read before it is refused.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use crate::http::fields::Fields;
use crate::http::head::{HeadBuffer, RequestHead};
use crate::license::protocol::wire;

/// Bytes of request line and header fields that may arrive before the head is complete.
const MAX_HEAD_BYTES: usize = 8_192;

/// Methods of a [`Page`], as `Allow` tells them.
pub(crate) const METHODS_OF_PAGES: &str = "Allow: GET, HEAD, OPTIONS\r\n";

/// What load balancers, monitoring and people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// `/`: what this is.
    Root,
    /// `/healthz`: whether it can answer appliances.
    Health,
    /// `/metrics`: what it has counted.
    Metrics,
}

/// A request by its head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `POST` to [`wire::PATH`] with a body of `length` bytes.
    Question {
        length: usize,
        /// Whether the client waits for `100 Continue`.
        expects_continue: bool,
    },
    /// `GET`, or `HEAD`.
    Page { page: Page, only_head: bool },
    /// `OPTIONS` of a page.
    Options,
}

/// An answer without content of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) status: u16,
    /// A header field, with its line end.
    pub(crate) field: &'static str,
}

const fn rejection(status: u16) -> Rejection {
    Rejection { status, field: "" }
}

/// A client that sends a request until `end`.
pub(crate) struct Receiver<'a> {
    stream: &'a TcpStream,
    buffer: HeadBuffer,
    end: Instant,
}

impl Receiver<'_> {
    pub(crate) fn new(stream: &TcpStream, end: Instant) -> Receiver<'_> {
        Receiver { stream, buffer: HeadBuffer::default(), end }
    }

    /// Reads the head of the request, and calls `begun` at its first bytes.
    ///
    /// # Errors
    /// When the client is gone or too slow.
    pub(crate) fn head(
        &mut self,
        begun: impl Fn(),
    ) -> io::Result<Result<(Asked, Fields), Rejection>> {
        loop {
            match parse(&mut self.buffer) {
                Ok(Some(asked)) => return Ok(Ok(asked)),
                Ok(None) => {
                    let piece = self.read()?;
                    self.buffer.extend(&piece);
                    begun();
                }
                Err(rejection) => return Ok(Err(rejection)),
            }
        }
    }

    /// Reads the body of a question.
    ///
    /// # Errors
    /// When the client is gone or too slow.
    pub(crate) fn body(mut self, length: usize, expects_continue: bool) -> io::Result<Vec<u8>> {
        if expects_continue {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = self.buffer.take_rest();
        while body.len() < length {
            body.extend_from_slice(&self.read()?);
        }
        body.truncate(length);
        Ok(body)
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut piece = vec![0; 4_096];
        match self.stream.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                piece.truncate(count);
                Ok(piece)
            }
        }
    }
}

/// The request that `buffer` begins with; `None` while its head is incomplete.
fn parse(buffer: &mut HeadBuffer) -> Result<Option<(Asked, Fields)>, Rejection> {
    match buffer.request() {
        Ok(Some(head)) => asked(&head).map(|asked| Some((asked, head.fields))),
        Ok(None) if buffer.len() < MAX_HEAD_BYTES => Ok(None),
        Ok(None) => Err(rejection(431)),
        Err(malformed) if matches!(malformed.status, 414 | 431) => Err(rejection(431)),
        Err(_) => Err(rejection(400)),
    }
}

fn asked(head: &RequestHead) -> Result<Asked, Rejection> {
    // A proxy may forward the target in absolute form.
    let path = match head.target.split_once("://").map(|(_, rest)| rest.split_once('/')) {
        Some(Some((_, path))) => format!("/{path}"),
        _ => head.target.clone(),
    };
    let page = match path.split('?').next() {
        Some("/") => Page::Root,
        Some("/healthz") => Page::Health,
        Some("/metrics") => Page::Metrics,
        _ if path != wire::PATH => return Err(rejection(404)),
        _ if head.method != "POST" => {
            return Err(Rejection { status: 405, field: "Allow: POST\r\n" });
        }
        _ => return question(&head.fields),
    };
    match head.method.as_ref() {
        "GET" => Ok(Asked::Page { page, only_head: false }),
        "HEAD" => Ok(Asked::Page { page, only_head: true }),
        "OPTIONS" => Ok(Asked::Options),
        _ => Err(Rejection { status: 405, field: METHODS_OF_PAGES }),
    }
}

fn question(fields: &Fields) -> Result<Asked, Rejection> {
    let mut length = None;
    for value in fields.all("content-length") {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<usize>().unwrap_or(usize::MAX);
        if !digits || length.is_some_and(|length| length != number) {
            return Err(rejection(400));
        }
        length = Some(number);
    }
    match length {
        _ if fields.first("transfer-encoding").is_some() => Err(rejection(411)),
        None => Err(rejection(411)),
        Some(length) if length > wire::LARGEST => Err(rejection(413)),
        Some(length) => {
            let expect = fields.all("expect").last();
            let expects_continue =
                expect.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
            Ok(Asked::Question { length, expects_continue })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, HeadBuffer, Page, Rejection, parse};

    /// The status of a rejection; 0 for a question, 200 for a page, 204 for its options, 1 for an incomplete
    /// head.
    fn status(head: &str) -> u16 {
        let mut buffer = HeadBuffer::default();
        buffer.extend(head.as_bytes());
        match parse(&mut buffer) {
            Ok(Some((Asked::Question { .. }, _))) => 0,
            Ok(Some((Asked::Page { .. }, _))) => 200,
            Ok(Some((Asked::Options, _))) => 204,
            Ok(None) => 1,
            Err(Rejection { status, .. }) => status,
        }
    }

    #[test]
    fn only_a_few_kinds_of_requests_are_let_through() {
        let post = |fields: &str| format!("POST /v1/license HTTP/1.1\r\n{fields}\r\n");
        for (head, wanted) in [
            (post("Content-Length: 10\r\n"), 0),
            ("POST http://licensing.example.com/v1/license HTTP/1.1\r\nContent-Length: 1\r\n\r\n".into(), 0),
            ("GET / HTTP/1.1\r\n\r\n".into(), 200),
            ("GET http://licensing.example.com/ HTTP/1.1\r\n\r\n".into(), 200),
            ("HEAD /healthz HTTP/1.0\r\n\r\n".into(), 200),
            ("GET /metrics?x=y HTTP/1.1\r\n\r\n".into(), 200),
            ("OPTIONS /metrics HTTP/1.1\r\n\r\n".into(), 204),
            ("DELETE /healthz HTTP/1.1\r\n\r\n".into(), 405),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n".into(), 405),
            ("GET /v1/license HTTP/1.1\r\n\r\n".into(), 405),
            ("POST /v1/license?x HTTP/1.1\r\nContent-Length: 1\r\n\r\n".into(), 404),
            ("GET /etc/passwd HTTP/1.1\r\n\r\n".into(), 404),
            ("GET /healthz/ HTTP/1.1\r\n\r\n".into(), 404),
            (post(""), 411),
            (post("Transfer-Encoding: chunked\r\n"), 411),
            (post("Content-Length: 10\r\nTransfer-Encoding: chunked\r\n"), 411),
            (post("Content-Length: 65537\r\n"), 413),
            (post("Content-Length: 99999999999999999999999\r\n"), 413),
            (post("Content-Length: +1\r\n"), 400),
            (post("Content-Length: \r\n"), 400),
            (post("Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
            (post(&"A: b\r\n".repeat(101)), 431),
            ("x".repeat(9_000), 431),
            ("GET / HTTP/2.0\r\n\r\n".into(), 400),
            ("\u{1}\r\n\r\n".into(), 400),
            ("POST /v1/license HT".into(), 1),
        ] {
            assert_eq!(status(&head), wanted, "{head}");
        }
    }

    #[test]
    fn a_page_is_told_by_its_path() {
        for (path, page) in
            [("/", Page::Root), ("/healthz", Page::Health), ("/metrics", Page::Metrics)]
        {
            let mut buffer = HeadBuffer::default();
            buffer.extend(format!("HEAD {path} HTTP/1.1\r\n\r\n").as_bytes());
            let asked = parse(&mut buffer).ok().flatten().map(|(asked, _)| asked);
            assert_eq!(asked, Some(Asked::Page { page, only_head: true }));
        }
    }
}
