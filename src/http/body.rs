//! Where a body ends: the one place with the rules of RFC 9112 section 6, strictly for clients.

use std::borrow::Cow;
use std::io::Write as _;

use super::fields::Fields;
use super::head::{AnswerHead, Malformed, RequestHead};
use crate::http::limits;

/// How a message body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// After so many bytes; 0 is no body.
    Exact(u64),
    /// With a chunk of size zero and the trailer section.
    Chunked,
    /// With the connection (answers only).
    UntilClose,
}

/// The body of a request.
///
/// # Errors
/// 400 for every head that two parsers could frame differently; 501 for a transfer coding that is not
/// ours to undo.
pub(crate) fn of_request(head: &RequestHead) -> Result<Length, Malformed> {
    let length = content_length(&head.fields, Sender::Client).map_err(Malformed::bad)?;
    if head.fields.first("transfer-encoding").is_none() {
        return Ok(Length::Exact(length.unwrap_or(0)));
    }
    if head.minor == 0 {
        return Err(Malformed::bad("HTTP/1.0 knows no Transfer-Encoding"));
    }
    if length.is_some() {
        return Err(Malformed::bad("both Content-Length and Transfer-Encoding are given"));
    }
    let codings: Vec<&[u8]> = head.fields.list("transfer-encoding").collect();
    match codings.as_slice() {
        [only] if only.eq_ignore_ascii_case(b"chunked") => Ok(Length::Chunked),
        [.., last] if last.eq_ignore_ascii_case(b"chunked") => Err(Malformed {
            status: 501,
            reason: "the only transfer coding spoken here is chunked, once",
        }),
        _ => Err(Malformed::bad("the last transfer coding of a request must be chunked")),
    }
}

/// The body of an answer to `method`.
///
/// # Errors
/// What is wrong with the head, for the log.
pub(crate) fn of_answer(method: &str, head: &AnswerHead) -> Result<Length, &'static str> {
    if method == "HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(Length::Exact(0));
    }
    let length = content_length(&head.fields, Sender::Service)?;
    if head.fields.first("transfer-encoding").is_none() {
        return Ok(length.map_or(Length::UntilClose, Length::Exact));
    }
    let codings: Vec<&[u8]> = head.fields.list("transfer-encoding").collect();
    match codings.as_slice() {
        _ if length.is_some() => Err("both Content-Length and Transfer-Encoding are given"),
        [only] if only.eq_ignore_ascii_case(b"chunked") && head.minor == 1 => Ok(Length::Chunked),
        _ => Err("its transfer coding is not exactly chunked"),
    }
}

fn content_length(fields: &Fields, sender: Sender) -> Result<Option<u64>, &'static str> {
    let mut values = fields.all("content-length");
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("Content-Length is given twice");
    }
    // Up to 18 digits, so that no parser on the way can overflow; str::parse would take a sign.
    if value.is_empty() || sender.counted(value).len() > 18 || !value.iter().all(u8::is_ascii_digit)
    {
        return Err("Content-Length is not a number");
    }
    std::str::from_utf8(value)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .map(Some)
        .ok_or("Content-Length is not a number")
}

/// Whose framing it is. What a client sends may be meant for two parsers that read it differently; a
/// service is part of the image, and its framing goes no further than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Service,
}

/// Bytes of one chunk-size line, extensions included; longer is an attack on somebody's buffer.
const CHUNK_LINE_BYTES: usize = 256;

/// The same in an answer; Go's client has the same limit.
const ANSWER_CHUNK_LINE_BYTES: usize = 4 << 10;

/// Bytes of a trailer section.
const TRAILER_BYTES: usize = 8 << 10;

/// The same in an answer.
const ANSWER_TRAILER_BYTES: usize = 32 << 10;

/// Fields in the trailer section of a request; an answer may have as many as a head.
const TRAILER_FIELDS: usize = 32;

impl Sender {
    fn chunk_line_bytes(self) -> usize {
        match self {
            Sender::Client => CHUNK_LINE_BYTES,
            Sender::Service => ANSWER_CHUNK_LINE_BYTES,
        }
    }

    fn trailer_bytes(self) -> usize {
        match self {
            Sender::Client => TRAILER_BYTES,
            Sender::Service => ANSWER_TRAILER_BYTES,
        }
    }

    /// The digits of a number that count for its length. Any zeros may stand before it (RFC 9110 section
    /// 8.6, RFC 9112 section 7.1), but a client that sends many wants a parser to lose count.
    fn counted(self, digits: &[u8]) -> &[u8] {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        match self {
            Sender::Client => digits,
            Sender::Service => digits.get(zeros..).unwrap_or_default(),
        }
    }
}

/// Takes the framing off a body that arrives in pieces.
#[derive(Debug)]
pub(crate) struct Decoder {
    sender: Sender,
    state: State,
    /// The part of a line or trailer section that has arrived.
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

    /// The connection has ended; true if that is how this body ends.
    pub(crate) fn end_of_connection(&mut self) -> bool {
        if self.state == State::UntilClose {
            self.state = State::Complete;
        }
        self.is_complete()
    }

    /// Where the body comes as it is: how many bytes of `input` belong to it, which are taken as read.
    /// `None` where framing has to be taken off.
    pub(crate) fn pass(&mut self, input: &[u8]) -> Option<usize> {
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

    /// Appends the content of `input` to `content` and says how many bytes of it belong to this body.
    ///
    /// # Errors
    /// What is wrong with the chunks.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        content: &mut Vec<u8>,
    ) -> Result<usize, &'static str> {
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
                    rest = self.take_line(rest)?;
                }
                State::Complete => {}
            }
        }
        Ok(input.len() - rest.len())
    }

    /// Takes bytes up to the end of a line and acts on it once it is whole.
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
            // The section is kept whole until its empty line.
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

/// `chunk-size [ chunk-ext ]` (RFC 9112 section 7.1); extensions are checked and dropped. Blanks behind the
/// size, with which Tomcat fills a line up, were legal in RFC 2616 and are read by everybody in one way.
fn chunk_size(line: &[u8], sender: Sender) -> Result<u64, &'static str> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = line.split_at(digits);
    let counted = sender.counted(size);
    if size.is_empty() || counted.len() > 15 {
        return Err("a chunk size is not a hexadecimal number");
    }
    let told = extension.trim_ascii_start();
    if !(told.is_empty() || told.starts_with(b";"))
        || extension.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
    {
        return Err("a chunk extension is malformed");
    }
    counted
        .iter()
        .try_fold(0_u64, |sum, byte| Some(sum * 16 + u64::from(char::from(*byte).to_digit(16)?)))
        .ok_or("a chunk size is not a hexadecimal number")
}

/// Fields a trailer must not set: framing, routing, authentication (RFC 9110 section 6.5.1).
#[rustfmt::skip]
const NOT_IN_TRAILERS: [&str; 14] = [
    "content-length", "transfer-encoding", "host", "authorization", "connection", "content-type",
    "content-encoding", "content-range", "cookie", "set-cookie", "expect", "te", "trailer", "upgrade",
];

/// The fields of a trailer section, without those that no trailer may set.
///
/// An answer with more of them than a head may have loses them: its body is whole, and any recipient may
/// leave out trailers (RFC 9112 section 7.1.2).
fn trailers(section: &[u8], sender: Sender) -> Result<Fields, &'static str> {
    if section
        .windows(2)
        .any(|pair| pair[0] == b'\r' && pair[1] != b'\n' || pair[1] == b'\n' && pair[0] != b'\r')
    {
        return Err("a trailer field holds a lone CR or LF");
    }
    let (most, section) = match sender {
        Sender::Client => (TRAILER_FIELDS, Cow::Borrowed(section)),
        Sender::Service => (limits::FIELDS, Cow::Owned(without_blanks_before_colons(section))),
    };
    let mut lines = vec![httparse::EMPTY_HEADER; most];
    match httparse::parse_headers(&section, &mut lines) {
        Ok(httparse::Status::Complete((_, parsed))) => {
            let mut fields = Fields::from_parsed(parsed);
            NOT_IN_TRAILERS.iter().for_each(|name| fields.remove(name));
            fields.remove_claims();
            Ok(fields)
        }
        Err(httparse::Error::TooManyHeaders) if sender == Sender::Service => Ok(Fields::default()),
        _ => Err("the trailer section is malformed"),
    }
}

/// As a proxy must hand on what a server sent (RFC 9112 section 5.1).
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

/// Puts framing on content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// The content as it is: its end is known from a length or from the end of the connection.
    Bare,
    /// In chunks.
    Chunked,
}

impl Encoder {
    /// Appends `content` to `out`.
    pub(crate) fn encode(self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoder::Chunked if content.is_empty() => {} // a chunk of size zero would end the body
            Encoder::Chunked => {
                let _ = write!(out, "{:x}\r\n", content.len()); // a Vec takes everything
                out.extend_from_slice(content);
                out.extend_from_slice(b"\r\n");
            }
            Encoder::Bare => out.extend_from_slice(content),
        }
    }

    /// Appends what ends the body.
    pub(crate) fn end(self, trailers: &Fields, out: &mut Vec<u8>) {
        if self == Encoder::Chunked {
            out.extend_from_slice(b"0\r\n");
            trailers.write_to(out);
        }
    }
}

#[cfg(test)]
mod tests;
