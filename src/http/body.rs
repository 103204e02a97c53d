//! Message body framing: the rules of RFC 9112 section 6, applied strictly to clients.

use std::borrow::Cow;
use std::io::Write as _;

use super::fields::Fields;
use super::head::{RequestHead, ResponseHead};
use super::{Error, limits};

/// How a message body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// After this number of bytes; 0 is no body.
    Exact(u64),
    /// With a chunk of size zero and the trailer section.
    Chunked,
    /// With the connection (responses only).
    UntilClose,
}

/// How the body of a request ends.
///
/// # Errors
/// 400 for a head that two parsers could frame differently; 501 for an unsupported transfer coding.
pub(crate) fn of_request(head: &RequestHead) -> Result<Length, Error> {
    let length = content_length(&head.fields, Sender::Client)?;
    if head.fields.first("transfer-encoding").is_none() {
        return Ok(Length::Exact(length.unwrap_or(0)));
    }
    if head.minor == 0 {
        return Err(Error::bad_request("Transfer-Encoding is not allowed in HTTP/1.0"));
    }
    if length.is_some() {
        return Err(Error::bad_request("both Content-Length and Transfer-Encoding are given"));
    }
    let codings: Vec<&[u8]> = head.fields.list("transfer-encoding").collect();
    match codings.as_slice() {
        [only] if only.eq_ignore_ascii_case(b"chunked") => Ok(Length::Chunked),
        [.., last] if last.eq_ignore_ascii_case(b"chunked") => Err(Error {
            status: 501,
            reason: "the only supported transfer coding is chunked, applied once",
        }),
        _ => Err(Error::bad_request("the last transfer coding of a request must be chunked")),
    }
}

/// How the body of a response to `method` ends.
///
/// # Errors
/// When the framing is ambiguous or not supported.
pub(crate) fn of_response(method: &str, head: &ResponseHead) -> Result<Length, Error> {
    if method == "HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(Length::Exact(0));
    }
    let length = content_length(&head.fields, Sender::Server)?;
    if head.fields.first("transfer-encoding").is_none() {
        return Ok(length.map_or(Length::UntilClose, Length::Exact));
    }
    let codings: Vec<&[u8]> = head.fields.list("transfer-encoding").collect();
    match codings.as_slice() {
        _ if length.is_some() => {
            Err(Error::bad_gateway("both Content-Length and Transfer-Encoding are given"))
        }
        [only] if only.eq_ignore_ascii_case(b"chunked") && head.minor == 1 => Ok(Length::Chunked),
        _ => Err(Error::bad_gateway("its transfer coding is not exactly chunked")),
    }
}

fn content_length(fields: &Fields, sender: Sender) -> Result<Option<u64>, Error> {
    let mut values = fields.all("content-length");
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(sender.fault("Content-Length is given twice"));
    }
    // At most 18 digits, so that no parser on the way overflows; str::parse would accept a sign.
    if value.is_empty()
        || sender.significant(value).len() > 18
        || !value.iter().all(u8::is_ascii_digit)
    {
        return Err(sender.fault("Content-Length is not a number"));
    }
    std::str::from_utf8(value)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .map(Some)
        .ok_or(sender.fault("Content-Length is not a number"))
}

/// Who has sent the framing. A client may aim at two parsers that read it differently; an upstream server is
/// part of the image, and its framing is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// Fields in the trailer section of a request; a response may have as many as a head.
const TRAILER_FIELDS: usize = 32;

impl Sender {
    fn fault(self, reason: &'static str) -> Error {
        match self {
            Sender::Client => Error::bad_request(reason),
            Sender::Server => Error::bad_gateway(reason),
        }
    }

    /// Most bytes of one chunk-size line, extensions included.
    fn chunk_line_bytes(self) -> usize {
        match self {
            Sender::Client => 256,
            Sender::Server => 4 << 10, // as in Go's client
        }
    }

    /// Most bytes of a trailer section.
    fn trailer_bytes(self) -> usize {
        match self {
            Sender::Client => 8 << 10,
            Sender::Server => 32 << 10,
        }
    }

    /// The digits of a number that count towards its maximum length. Leading zeros are allowed (RFC 9110
    /// section 8.6, RFC 9112 section 7.1), but a client that sends many may aim at an overflow.
    fn significant(self, digits: &[u8]) -> &[u8] {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        match self {
            Sender::Client => digits,
            Sender::Server => digits.get(zeros..).unwrap_or_default(),
        }
    }
}

/// Removes the framing of a body that arrives in pieces.
#[derive(Debug)]
pub(crate) struct Decoder {
    sender: Sender,
    state: State,
    /// The part of the current line or trailer section that has arrived.
    line: Vec<u8>,
    /// Trailer fields, once the body is complete.
    pub(crate) trailers: Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Exact(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Complete,
}

impl Decoder {
    pub(crate) fn new(sender: Sender, length: Length) -> Decoder {
        let state = match length {
            Length::Exact(0) => State::Complete,
            Length::Exact(left) => State::Exact(left),
            Length::Chunked => State::ChunkSize,
            Length::UntilClose => State::UntilClose,
        };
        Decoder { sender, state, line: Vec::new(), trailers: Fields::default() }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Handles the end of the connection; true if the body is complete with it.
    pub(crate) fn end_of_connection(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::Complete;
        }
        self.is_complete()
    }

    /// Consumes `input` of a body without framing and returns how many bytes belong to the body; `None` if
    /// the body has framing that must be removed.
    pub(crate) fn pass_through(&mut self, input: &[u8]) -> Option<usize> {
        match &mut self.state {
            State::UntilClose => Some(input.len()),
            State::Exact(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::Complete;
                }
                Some(taken)
            }
            _ => None,
        }
    }

    /// Appends the content of `input` to `content` and returns how many bytes belong to the body.
    ///
    /// # Errors
    /// When the chunked framing is malformed.
    pub(crate) fn decode(&mut self, input: &[u8], content: &mut Vec<u8>) -> Result<usize, Error> {
        let mut rest = input;
        while !rest.is_empty() && !self.is_complete() {
            match self.state {
                State::Exact(left) | State::ChunkData(left) => {
                    let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let (now, later) = rest.split_at(taken);
                    content.extend_from_slice(now);
                    rest = later;
                    let left = left - taken as u64;
                    self.state = match (self.state, left) {
                        (State::Exact(_), 0) => State::Complete,
                        (State::Exact(_), _) => State::Exact(left),
                        (_, 0) => State::ChunkEnd,
                        _ => State::ChunkData(left),
                    };
                }
                State::UntilClose => {
                    content.extend_from_slice(rest);
                    rest = &[];
                }
                State::ChunkSize | State::ChunkEnd | State::Trailers => {
                    rest = self.take_line(rest).map_err(|reason| self.sender.fault(reason))?;
                }
                State::Complete => {}
            }
        }
        Ok(input.len() - rest.len())
    }

    /// Takes bytes up to the end of a line and processes the line once it is complete.
    fn take_line<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], &'static str> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (now, later) = input.split_at(end.map_or(input.len(), |at| at + 1));
        self.line.extend_from_slice(now);
        if self.state == State::Trailers {
            if self.line.len() > self.sender.trailer_bytes() {
                return Err("the trailer section is too long");
            }
        } else if self.line.len() > self.sender.chunk_line_bytes() {
            return Err("a chunk-size line is too long");
        }
        if end.is_none() {
            return Ok(later);
        }
        if !self.line.ends_with(b"\r\n") {
            return Err("a line of the chunked body does not end in CRLF");
        }
        match self.state {
            State::ChunkSize => {
                let line = self.line.strip_suffix(b"\r\n").unwrap_or_default();
                self.state = match chunk_size(line, self.sender)? {
                    0 => State::Trailers,
                    size => State::ChunkData(size),
                };
                self.line.clear();
            }
            State::ChunkEnd => {
                if self.line != b"\r\n" {
                    return Err("a chunk is longer than its size says");
                }
                self.state = State::ChunkSize;
                self.line.clear();
            }
            // The section is collected up to its empty line.
            _ if self.line == b"\r\n" || self.line.ends_with(b"\r\n\r\n") => {
                self.trailers = trailers(&self.line, self.sender)?;
                self.line = Vec::new();
                self.state = State::Complete;
            }
            _ => {}
        }
        Ok(later)
    }
}

/// Parses `chunk-size [ chunk-ext ]` (RFC 9112 section 7.1); extensions are checked and dropped. Blanks after
/// the size, with which Tomcat pads the line, were legal in RFC 2616 and are unambiguous.
fn chunk_size(line: &[u8], sender: Sender) -> Result<u64, &'static str> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = line.split_at(digits);
    let digits = sender.significant(size);
    if size.is_empty() || digits.len() > 15 {
        return Err("a chunk size is not a hexadecimal number");
    }
    let parameters = extension.trim_ascii_start();
    if !(parameters.is_empty() || parameters.starts_with(b";"))
        || extension.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
    {
        return Err("a chunk extension is malformed");
    }
    digits
        .iter()
        .try_fold(0_u64, |sum, byte| Some(sum * 16 + u64::from(char::from(*byte).to_digit(16)?)))
        .ok_or("a chunk size is not a hexadecimal number")
}

/// Fields that a trailer must not set: framing, routing, authentication (RFC 9110 section 6.5.1).
#[rustfmt::skip]
const NOT_IN_TRAILERS: [&str; 14] = [
    "content-length", "transfer-encoding", "host", "authorization", "connection", "content-type",
    "content-encoding", "content-range", "cookie", "set-cookie", "expect", "te", "trailer", "upgrade",
];

/// Parses a trailer section and drops the fields that no trailer may set.
///
/// A response with more trailer fields than a head may have loses all of them: its body is complete, and any
/// recipient may discard trailers (RFC 9112 section 7.1.2).
fn trailers(section: &[u8], sender: Sender) -> Result<Fields, &'static str> {
    if section
        .windows(2)
        .any(|pair| pair[0] == b'\r' && pair[1] != b'\n' || pair[1] == b'\n' && pair[0] != b'\r')
    {
        return Err("a trailer field contains a lone CR or LF");
    }
    let (most, section) = match sender {
        Sender::Client => (TRAILER_FIELDS, Cow::Borrowed(section)),
        Sender::Server => (limits::FIELDS, Cow::Owned(without_blanks_before_colons(section))),
    };
    let mut lines = vec![httparse::EMPTY_HEADER; most];
    match httparse::parse_headers(&section, &mut lines) {
        Ok(httparse::Status::Complete((_, parsed))) => {
            let mut fields = Fields::from_parsed(&section, parsed);
            NOT_IN_TRAILERS.iter().for_each(|name| fields.remove(name));
            fields.remove_forwarding_claims();
            Ok(fields)
        }
        Err(httparse::Error::TooManyHeaders) if sender == Sender::Server => Ok(Fields::default()),
        _ => Err("the trailer section is malformed"),
    }
}

/// Removes blanks before the colons, which a proxy must do for a response (RFC 9112 section 5.1).
fn without_blanks_before_colons(section: &[u8]) -> Vec<u8> {
    let mut tidy = Vec::with_capacity(section.len());
    for line in section.split_inclusive(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or_default();
        let (name, rest) = line.split_at(colon);
        let end = name.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |last| last + 1);
        tidy.extend_from_slice(name.get(..end).unwrap_or_default());
        tidy.extend_from_slice(rest);
    }
    tidy
}

/// Adds framing to content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// No framing: a length or the end of the connection delimits the content.
    Bare,
    /// Chunked transfer coding.
    Chunked,
}

impl Encoder {
    /// Appends `content` to `out`.
    pub(crate) fn encode(self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoder::Chunked if content.is_empty() => {} // a chunk of size zero would end the body
            Encoder::Chunked => {
                let _ = write!(out, "{:x}\r\n", content.len()); // a Vec accepts all bytes
                out.extend_from_slice(content);
                out.extend_from_slice(b"\r\n");
            }
            Encoder::Bare => out.extend_from_slice(content),
        }
    }

    /// Appends the end of the body.
    pub(crate) fn end(self, trailers: &Fields, out: &mut Vec<u8>) {
        if self == Encoder::Chunked {
            out.extend_from_slice(b"0\r\n");
            trailers.write_to(out);
        }
    }
}

#[cfg(test)]
mod tests;
