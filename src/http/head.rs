//! Bytes to a request or response head, within limits and without sockets.
//!
//! A head that two parsers could read differently is rejected: a proxy that reads a request differently from
//! the service behind it lets requests be smuggled past the policy (RFC 9112 section 11.2).

use std::borrow::Cow;
use std::mem::MaybeUninit;

use super::fields::Fields;
use super::scan::Scan;
use super::{Error, limits, method, status};

/// A request line and its fields.
#[derive(Debug, Clone)]
pub(crate) struct RequestHead {
    pub(crate) method: Cow<'static, str>,
    /// As sent, in origin-form or absolute-form; see [`Target`](super::target::Target).
    pub(crate) target: String,
    /// Minor version of HTTP/1: 0 or 1.
    pub(crate) minor: u8,
    pub(crate) fields: Fields,
}

/// A status line and its fields.
#[derive(Debug, Clone)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) minor: u8,
    pub(crate) fields: Fields,
}

/// Collects the bytes of a head and finds its end without parsing it again at every byte.
#[derive(Debug, Default)]
pub(crate) struct HeadBuffer {
    bytes: Vec<u8>,
    scan: Scan,
    /// The one empty line that may precede a request has been skipped.
    empty_line: bool,
}

impl HeadBuffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True if the bytes begin a HEAD request, to which no response has a body.
    pub(crate) fn is_head_request(&self) -> bool {
        self.bytes.starts_with(b"HEAD ")
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the bytes that have arrived and are not part of a head.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(self).bytes
    }

    /// The next request head, once it is complete.
    ///
    /// # Errors
    /// As soon as the bytes cannot become a valid head.
    pub(crate) fn request(&mut self) -> Result<Option<RequestHead>, Error> {
        // One empty line before a request is accepted from clients that send too many bytes of a body
        // (RFC 9112 section 2.2), more are not.
        if !self.empty_line && self.scan.line == 0 && self.bytes.starts_with(b"\r\n") {
            self.bytes.drain(..2);
            (self.scan.scanned, self.empty_line) = (0, true);
        }
        let end = self.scan.end(&self.bytes);
        let Some(end) = end.map_err(|stray| Error::bad_request(stray.in_request()))? else {
            return match self.bytes.len() {
                // The CR of the line's end may have arrived already.
                n if n > limits::LINE_BYTES + 1 && self.scan.line == 0 => Err(LINE_TOO_LONG),
                n if n > limits::HEAD_BYTES => Err(TOO_LARGE),
                _ => Ok(None),
            };
        };
        if end > limits::HEAD_BYTES {
            return Err(TOO_LARGE);
        }
        let head = self.bytes.get(..end).unwrap_or_default();
        let head = parse_request(head)?;
        self.bytes.drain(..end);
        (self.scan, self.empty_line) = (Scan::default(), false);
        Ok(Some(head))
    }

    /// The next response head, once `arrived` completes it. What follows it stays in `arrived` if no part of it has
    /// come before: most heads come whole and are not buffered.
    ///
    /// # Errors
    /// As soon as the bytes cannot become a valid head.
    pub(crate) fn response(&mut self, arrived: &mut &[u8]) -> Result<Option<ResponseHead>, Error> {
        if self.is_empty()
            && let Some((head, end)) = response_of(arrived, &mut Scan::default())?
        {
            *arrived = arrived.get(end..).unwrap_or_default();
            return Ok(Some(head));
        }
        self.extend(std::mem::take(arrived));
        let Some((head, end)) = response_of(&self.bytes, &mut self.scan)? else { return Ok(None) };
        self.bytes.drain(..end);
        self.scan = Scan::default();
        Ok(Some(head))
    }
}

/// The response head that `bytes` begin with, and its length, once it is complete.
fn response_of(bytes: &[u8], scan: &mut Scan) -> Result<Option<(ResponseHead, usize)>, Error> {
    let end = scan.end(bytes).map_err(|stray| Error::bad_gateway(stray.in_response()))?;
    if end.unwrap_or(bytes.len()) > limits::RESPONSE_HEAD_BYTES {
        return Err(RESPONSE_TOO_LARGE);
    }
    let Some(end) = end else { return Ok(None) };
    let head = parse_response(bytes.get(..end).unwrap_or_default()).map_err(Error::bad_gateway)?;
    Ok(Some((head, end)))
}

const TOO_LARGE: Error = Error { status: 431, reason: "the request head is too large" };
const LINE_TOO_LONG: Error =
    Error { status: 414, reason: "the request line is longer than 8192 bytes" };
const RESPONSE_TOO_LARGE: Error = Error::bad_gateway("its head is larger than 64 KiB");

fn parse_request(head: &[u8]) -> Result<RequestHead, Error> {
    // httparse tolerates several spaces in the request line; RFC 9112 section 3 allows one.
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if line.len() > limits::LINE_BYTES {
        return Err(LINE_TOO_LONG);
    }
    if line.iter().filter(|byte| **byte == b' ').count() != 2 || line.contains(&b'\t') {
        return Err(Error::bad_request("the request line is not METHOD SP TARGET SP VERSION"));
    }
    let mut lines = [const { MaybeUninit::uninit() }; limits::FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, &mut lines) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => {
            return Err(Error::bad_request("the head is not HTTP/1.1"));
        }
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Error { status: 431, reason: "too many header fields" });
        }
        Err(httparse::Error::Version) => {
            return as_minor_1(head, line.len())
                .map_or_else(|| Err(wrong_version(line)), |head| parse_request(&head));
        }
        Err(httparse::Error::HeaderName) => {
            return Err(Error::bad_request(
                "a header field name is malformed, folded or followed by a space",
            ));
        }
        Err(httparse::Error::HeaderValue) => {
            return Err(Error::bad_request("a header field value contains a control character"));
        }
        Err(_) => return Err(Error::bad_request("the head is not HTTP/1.1")),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Error::bad_request("the head is not HTTP/1.1"));
    };
    if method::has_wrong_case(method) {
        return Err(Error::bad_request("the method is not in capital letters"));
    }
    Ok(RequestHead {
        method: method::kept(method),
        target: target.to_owned(),
        minor,
        fields: Fields::from_parsed(head, parsed.headers),
    })
}

/// The head with its minor version replaced by 1, if its line of `length` bytes ends in a later minor version:
/// it must be processed as the version that we support (RFC 9110 section 2.5).
fn as_minor_1(head: &[u8], length: usize) -> Option<Vec<u8>> {
    let at = length.checked_sub(1)?;
    if !matches!(
        head.get(..length)?,
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9']
    ) {
        return None;
    }
    let mut head = head.to_vec();
    *head.get_mut(at)? = b'1';
    Some(head)
}

/// 505 for a well-formed version that is not supported, 400 for anything else.
fn wrong_version(line: &[u8]) -> Error {
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let well_formed = matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit());
    if well_formed {
        Error { status: 505, reason: "only HTTP/1.1 and HTTP/1.0 are supported" }
    } else {
        Error::bad_request("the request line does not end in an HTTP version")
    }
}

fn parse_response(head: &[u8]) -> Result<ResponseHead, &'static str> {
    const NO_STATUS_LINE: &str = "it does not begin with a status line of HTTP/1.1 or HTTP/1.0";
    let mut lines = [const { MaybeUninit::uninit() }; limits::FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    match httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        head,
        &mut lines,
    ) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err("its head has more than 100 header fields");
        }
        // RFC 9112 section 5.2 asks for an explanation.
        Err(httparse::Error::HeaderName) if is_folded(head) => {
            return Err("a line of its head is folded: it begins with a space or a tab");
        }
        Err(httparse::Error::HeaderName) => {
            return Err("a field name in its head is malformed or followed by a space");
        }
        Err(httparse::Error::HeaderValue) => {
            return Err("a field value in its head contains a control character");
        }
        _ if head.starts_with(b"\r\n") => return Err("an empty line stands before its head"),
        _ => return Err(NO_STATUS_LINE),
    }
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(NO_STATUS_LINE);
    };
    if !(100..1000).contains(&status) {
        return Err("its status is out of range");
    }
    Ok(ResponseHead {
        status,
        reason: status::kept(status, parsed.reason.unwrap_or_default()),
        minor,
        fields: Fields::from_parsed(head, parsed.headers),
    })
}

/// True if a line after the first begins with white space.
fn is_folded(head: &[u8]) -> bool {
    let blank = |line: &[u8]| matches!(line.first(), Some(b' ' | b'\t'));
    head.split(|byte| *byte == b'\n').skip(1).any(blank)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Error, HeadBuffer, RequestHead};

    fn parse(text: &str) -> Result<Option<RequestHead>, Error> {
        let mut buffer = HeadBuffer::default();
        buffer.extend(text.as_bytes());
        buffer.request()
    }

    fn status(text: &str) -> u16 {
        parse(text).unwrap_err().status
    }

    #[test]
    fn a_head_may_come_byte_by_byte() {
        let text = "GET /v1/management/ping HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut buffer = HeadBuffer::default();
        for (at, byte) in text.bytes().enumerate() {
            buffer.extend(&[byte]);
            assert_eq!(buffer.request().unwrap().is_some(), at + 1 == text.len());
        }
    }

    #[test]
    fn a_request_line_has_the_same_limit_whole_and_in_pieces() {
        let line = |bytes: usize| {
            let target = "a".repeat(bytes - "GET / HTTP/1.1".len());
            format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n")
        };
        for step in [1, 7, 8_192, 8_193, 8_194, 10_000] {
            let outcome = |bytes: usize| {
                let mut buffer = HeadBuffer::default();
                line(bytes).as_bytes().chunks(step).try_fold(None, |_, piece| {
                    buffer.extend(piece);
                    buffer.request()
                })
            };
            assert!(outcome(8_192).unwrap().is_some(), "in pieces of {step}");
            assert_eq!(outcome(8_193).unwrap_err().status, 414, "in pieces of {step}");
        }
    }

    /// A client that sends nothing else would never meet a deadline: that runs from the first byte.
    #[test]
    fn one_empty_line_is_forgiven_and_a_second_is_not_however_they_arrive() {
        let mut buffer = HeadBuffer::default();
        for _ in 0..2 {
            buffer.extend(b"\r\n");
            assert!(buffer.request().unwrap().is_none());
            buffer.extend(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(buffer.request().unwrap().is_some());
        }
        buffer.extend(b"\r\n");
        assert!(buffer.request().unwrap().is_none());
        buffer.extend(b"\r\n");
        assert_eq!(buffer.request().unwrap_err().status, 400);
    }

    #[test]
    fn two_requests_in_one_packet_are_two_requests() {
        let mut buffer = HeadBuffer::default();
        buffer.extend(
            b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\nrest",
        );
        assert_eq!(buffer.request().unwrap().unwrap().target, "/a");
        assert_eq!(buffer.request().unwrap().unwrap().target, "/b");
        assert_eq!(buffer.take_rest(), b"rest");
    }

    #[test]
    fn what_parsers_read_differently_is_refused() {
        for text in [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost a\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\x01b\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "G=T / HTTP/1.1\r\n: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "GET / HTTP/x.1\r\nHost: a\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(status(text), 400, "{text:?}");
        }
    }

    #[test]
    fn other_versions_and_sizes_have_their_own_status() {
        assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9_000))), 414);
        assert_eq!(status(&"a".repeat(9_000)), 414);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(40_000))), 431);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101))), 431);
    }
}
