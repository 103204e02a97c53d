//! The response as it is sent to the client: interim heads, the final head, the body.

use std::borrow::Cow;
use std::io::{self, ErrorKind};

use crate::gate::connection::stream::ClientStream;
use crate::gate::io::duplex::Duplex as _;
use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::request::hsts::Hsts;
use crate::gate::request::response::persistence;
use crate::http::Error;
use crate::http::body;
use crate::http::body::{Decoder, Encoder, Length, Sender};
use crate::http::date;
use crate::http::fields::Fields;
use crate::http::head::{HeadBuffer, RequestHead, ResponseHead};
use crate::util::append::append;

/// Typical bytes of a status line with a date, and of a small body that follows its head at once.
const STATUS_LINE: usize = 128;
const SMALL_BODY: usize = 1 << 10;

/// The head and body of a response; the body changes from the service's framing to the client's.
pub(crate) struct ResponseBody {
    buffer: WriteBuffer,
    /// TLS may still have bytes that the buffer has sent.
    unflushed: bool,
    head: HeadBuffer,
    /// Set once the final head has been read.
    body: Option<Decoder>,
    /// A part of the final response has been sent to the client.
    begun: bool,
    encoder: Encoder,
    is_complete: bool,
    /// The client's connection closes after this response.
    pub(crate) close: bool,
    /// The upstream connection can carry another request.
    pub(crate) reusable: bool,
}

/// What the bytes from the service have completed.
#[must_use]
pub(crate) enum Received<'a> {
    /// No final head yet.
    Interim,
    /// The final head with this status, and the bytes after it.
    Head(u16, Cow<'a, [u8]>),
    /// Both sides have agreed on a WebSocket.
    Upgraded,
}

/// What the response depends on.
#[derive(Clone, Copy)]
pub(crate) struct RequestContext<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) websocket: bool,
    /// The client has sent the whole request.
    pub(crate) complete: bool,
    pub(crate) tls: bool,
    pub(crate) hsts: &'a Hsts,
}

impl ResponseBody {
    pub(crate) fn new(close: bool) -> ResponseBody {
        ResponseBody {
            buffer: WriteBuffer::default(),
            unflushed: false,
            head: HeadBuffer::default(),
            body: None,
            begun: false,
            encoder: Encoder::Bare,
            is_complete: false,
            close,
            reusable: false,
        }
    }

    /// True if a part of it, or half of an interim head, has been sent, so that no other response is possible.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun || self.buffer.has_begun()
    }

    /// True if the service has sent a final head.
    pub(crate) fn has_head(&self) -> bool {
        self.body.is_some()
    }

    /// True if the service must send more.
    pub(crate) fn wants_more(&self) -> bool {
        !self.is_complete
    }

    /// True if bytes wait for the client to accept them.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.buffer.is_empty() || self.unflushed
    }

    /// Takes bytes from the service that has not sent its final head yet.
    ///
    /// # Errors
    /// When a head is malformed.
    pub(crate) fn take_head<'a>(
        &mut self,
        arrived: &'a [u8],
        request: RequestContext<'_>,
    ) -> Result<Received<'a>, Error> {
        let mut rest = arrived;
        while let Some(head) = self.head.response(&mut rest)? {
            match head.status {
                101 if request.websocket => {
                    self.head.extend(rest);
                    self.switch(head);
                    return Ok(Received::Upgraded);
                }
                101 => {
                    return Err(Error::bad_gateway(
                        "it switched protocols without a request for it",
                    ));
                }
                100..=199 => self.forward_interim(head, request),
                _ => {
                    let status = head.status;
                    self.begin(head, request)?;
                    let buffered = self.head.take_rest();
                    let of_body =
                        if buffered.is_empty() { rest.into() } else { Cow::Owned(buffered) };
                    return Ok(Received::Head(status, of_body));
                }
            }
        }
        Ok(Received::Interim)
    }

    /// Sends body bytes directly to the client, after the head if that waits, and returns how many of `arrived` belong
    /// to the body; `None` if one side frames them.
    pub(crate) fn pass_through(
        &mut self,
        arrived: &[u8],
        client: &mut ClientStream,
    ) -> Option<io::Result<usize>> {
        if self.encoder != Encoder::Bare || self.is_complete {
            return None;
        }
        let body = self.body.as_mut()?;
        let taken = body.pass_through(arrived)?;
        self.is_complete = body.is_complete();
        self.reusable &= taken == arrived.len(); // otherwise it has sent too many bytes
        self.unflushed = true;
        let passed = self.buffer.pass_through(arrived.get(..taken).unwrap_or_default(), client);
        Some(passed.map(|moved| {
            self.begun |= moved;
            taken
        }))
    }

    /// Handles the end of the upstream connection; true if the response is complete with it.
    pub(crate) fn end_of_connection(&mut self) -> bool {
        let ends = self.body.as_mut().is_some_and(Decoder::end_of_connection);
        if ends && !self.is_complete {
            self.complete();
        }
        ends
    }

    /// Sends what the client accepts; true if anything has moved.
    pub(crate) fn send(&mut self, client: &mut ClientStream) -> io::Result<bool> {
        let mut moved = false;
        if !self.buffer.is_empty() {
            moved = self.buffer.send(client)?;
            self.unflushed |= moved;
            self.begun |= moved && self.body.is_some();
        }
        if self.unflushed && self.buffer.is_empty() {
            match client.try_flush() {
                Ok(()) => {
                    self.unflushed = false;
                    moved = true;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(moved)
    }

    /// Takes the unsent bytes for the client of a WebSocket: the 101, and what the service has sent after it.
    pub(crate) fn take_unsent(&mut self) -> Vec<u8> {
        let mut bytes = self.buffer.take_rest();
        bytes.extend(self.head.take_rest());
        bytes
    }

    /// Forwards 100 (Continue), 102 and 103 to clients of HTTP/1.1.
    fn forward_interim(&mut self, mut head: ResponseHead, request: RequestContext<'_>) {
        let expected = head.status != 100 || request.head.fields.first("expect").is_some();
        if request.head.minor == 1 && expected {
            head.fields.remove_hop_by_hop();
            if head.status == 100 {
                head.fields = Fields::default(); // 100 has no content of its own (RFC 9110 section 15.2.1)
            }
            self.write_head(head, "");
        }
    }

    fn switch(&mut self, mut head: ResponseHead) {
        head.fields.remove_hop_by_hop();
        head.fields.push("Connection", "Upgrade");
        head.fields.push("Upgrade", "websocket");
        self.write_head(head, "");
    }

    fn begin(&mut self, mut head: ResponseHead, request: RequestContext<'_>) -> Result<(), Error> {
        let length = body::of_response(&request.head.method, &head)?;
        self.reusable = head.minor == 1
            && !head.fields.lists("connection", "close")
            && length != Length::UntilClose;
        head.fields.remove_hop_by_hop();
        if let Length::Exact(length @ 1..) = length
            && head.fields.first("content-length").is_some_and(|value| value.starts_with(b"0"))
        {
            // Without leading zeros, which other parsers may count as digits.
            head.fields.remove("content-length");
            head.fields.push("Content-Length", length.to_string());
        }
        // A body of unknown length is chunked for clients of HTTP/1.1.
        if matches!(length, Length::Chunked | Length::UntilClose) {
            if request.head.minor == 1 {
                self.encoder = Encoder::Chunked;
                head.fields.push("Transfer-Encoding", "chunked");
            } else {
                self.close = true;
            }
        }
        // After an early response the rest of the body cannot be told from a new request.
        self.close |= !request.complete;
        if let Some(word) = persistence(self.close, request.head.minor) {
            head.fields.push("Connection", word);
        }
        if let Some(name) = request.hsts.replaces() {
            head.fields.remove(name);
        }
        self.write_head(head, request.hsts.line(request.tls));
        let body = Decoder::new(Sender::Server, length);
        let has_no_body = body.is_complete();
        self.body = Some(body);
        if has_no_body {
            self.complete();
        }
        Ok(())
    }

    /// Takes bytes of a body that one side frames; `content` is what they hold.
    ///
    /// # Errors
    /// When the framing is malformed.
    pub(crate) fn take_body(&mut self, arrived: &[u8], content: &mut Vec<u8>) -> Result<(), Error> {
        let Some(body) = &mut self.body else { return Ok(()) };
        content.clear();
        let taken = if self.is_complete { 0 } else { body.decode(arrived, content)? };
        self.encoder.encode(content, self.buffer.end());
        if body.is_complete() && !self.is_complete {
            self.complete();
        }
        if taken < arrived.len() {
            self.reusable = false; // it has sent too many bytes
        }
        Ok(())
    }

    fn complete(&mut self) {
        let none = Fields::default();
        let trailers = self.body.as_ref().map_or(&none, |body| &body.trailers);
        self.encoder.end(trailers, self.buffer.end());
        self.is_complete = true;
    }

    /// Writes a head; `line` is one more field with its line end, or nothing.
    fn write_head(&mut self, mut head: ResponseHead, line: &str) {
        if matches!(head.status, 100..=199 | 204) {
            head.fields.remove("content-length"); // RFC 9110 section 8.6
        }
        let out = self.buffer.end();
        out.reserve(STATUS_LINE + head.fields.size() + SMALL_BODY);
        let mut status = itoa::Buffer::new();
        append(out, &["HTTP/1.1 ", status.format(head.status), " ", &head.reason, "\r\n"]);
        if head.status >= 200 && head.fields.first("date").is_none() {
            date::with_now(|now| append(out, &["Date: ", now, "\r\n"])); // RFC 9110 section 6.6.1
        }
        append(out, &[line]);
        head.fields.write_to(out);
    }
}
