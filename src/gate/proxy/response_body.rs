//! The answer on its way to the client: interim heads, the final head, its body.

use std::io::{self, ErrorKind, Write as _};

use crate::gate::connection::stream::ClientStream;
use crate::gate::io::duplex::Duplex as _;
use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::request::response::persistence;
use crate::http::body;
use crate::http::body::{Decoder, Encoder, Length, Sender};
use crate::http::date;
use crate::http::fields::Fields;
use crate::http::head::{AnswerHead, HeadBuffer, RequestHead};

/// Bytes of a status line and a date, as a rule, and of a body that mostly follows its head at once.
const STATUS_LINE: usize = 128;
const SMALL_BODY: usize = 1 << 10;

/// Taken from the service's framing and put into the client's.
pub(crate) struct Download {
    outbox: WriteBuffer,
    /// TLS may still hold bytes that the outbox has handed on.
    unflushed: bool,
    head: HeadBuffer,
    /// Set once the final head has been read.
    body: Option<Decoder>,
    /// The client has had some of the final answer.
    begun: bool,
    status: u16,
    encoder: Encoder,
    is_complete: bool,
    /// The client's connection ends with this answer.
    pub(crate) close: bool,
    /// The service's connection can carry another request.
    pub(crate) reusable: bool,
}

/// What came of some bytes of the service's.
#[must_use]
pub(crate) enum Taken {
    /// No final head yet.
    Interim,
    /// Of this status; `content` holds what has come of its body.
    Answer(u16),
    /// Both sides have agreed on a WebSocket.
    Switched,
}

/// What the answer depends on.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a RequestHead,
    pub(crate) websocket: bool,
    /// The whole request has come from the client.
    pub(crate) complete: bool,
}

impl Download {
    pub(crate) fn new(close: bool) -> Download {
        Download {
            outbox: WriteBuffer::default(),
            unflushed: false,
            head: HeadBuffer::default(),
            body: None,
            begun: false,
            status: 0,
            encoder: Encoder::Bare,
            is_complete: false,
            close,
            reusable: false,
        }
    }

    /// Some of it has gone out, or half of what goes before it, so the client can't be given another.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun || self.outbox.has_begun()
    }

    /// The service has sent a final head.
    pub(crate) fn has_head(&self) -> bool {
        self.body.is_some()
    }

    /// The service owes more of it.
    pub(crate) fn wants_more(&self) -> bool {
        !self.is_complete
    }

    /// Bytes wait for the client to take them.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.outbox.is_empty() || self.unflushed
    }

    /// Takes bytes from the service.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub(crate) fn take(
        &mut self,
        arrived: &[u8],
        asked: Asked<'_>,
        content: &mut Vec<u8>,
    ) -> Result<Taken, &'static str> {
        if self.body.is_some() {
            self.take_body(arrived, content)?;
            return Ok(Taken::Answer(self.status));
        }
        self.head.extend(arrived);
        while let Some(head) = self.head.answer()? {
            match head.status {
                101 if asked.websocket => {
                    self.switch(head);
                    return Ok(Taken::Switched);
                }
                101 => return Err("it switched to a protocol nobody asked for"),
                100..=199 => self.relay_interim(head, asked),
                _ => {
                    self.begin(head, asked)?;
                    let rest = self.head.take_rest();
                    self.take_body(&rest, content)?;
                    return Ok(Taken::Answer(self.status));
                }
            }
        }
        Ok(Taken::Interim)
    }

    /// Hands body bytes straight on, where neither side frames them, and says how many of `arrived`
    /// those are; `None` where that is not so.
    pub(crate) fn pass(
        &mut self,
        arrived: &[u8],
        client: &mut ClientStream,
    ) -> Option<io::Result<usize>> {
        if self.encoder != Encoder::Bare || self.is_waiting() || self.is_complete {
            return None;
        }
        let body = self.body.as_mut()?;
        let taken = body.pass(arrived)?;
        self.is_complete = body.is_complete();
        self.reusable &= taken == arrived.len(); // or it says more than it was asked
        self.unflushed = true;
        let passed = self.outbox.pass(arrived.get(..taken).unwrap_or_default(), client);
        Some(passed.map(|()| taken))
    }

    /// The service has hung up; true if that is how its answer ends.
    pub(crate) fn end_of_connection(&mut self) -> bool {
        let ends = self.body.as_mut().is_some_and(Decoder::end_of_connection);
        if ends && !self.is_complete {
            self.complete();
        }
        ends
    }

    /// Sends what the client takes; true if something moved.
    pub(crate) fn send(&mut self, client: &mut ClientStream) -> io::Result<bool> {
        let mut moved = false;
        if !self.outbox.is_empty() {
            moved = self.outbox.send(client)?;
            self.unflushed |= moved;
            self.begun |= moved && self.body.is_some();
        }
        if self.unflushed && self.outbox.is_empty() {
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

    /// What a tunnel's client gets first: the 101, and what the service has said behind it.
    pub(crate) fn take_unsent(&mut self) -> Vec<u8> {
        let mut bytes = self.outbox.take_rest();
        bytes.extend(self.head.take_rest());
        bytes
    }

    /// 100 (Continue), 102, 103: for clients that can tell them from a final answer.
    fn relay_interim(&mut self, mut head: AnswerHead, asked: Asked<'_>) {
        let expected = head.status != 100 || asked.head.fields.first("expect").is_some();
        if asked.head.minor == 1 && expected {
            head.fields.remove_hop_by_hop();
            if head.status == 100 {
                head.fields = Fields::default(); // it says all by its status (RFC 9110 section 15.2.1)
            }
            self.write_head(head);
        }
    }

    fn switch(&mut self, mut head: AnswerHead) {
        head.fields.remove_hop_by_hop();
        head.fields.push("Connection", "Upgrade");
        head.fields.push("Upgrade", "websocket");
        self.write_head(head);
    }

    fn begin(&mut self, mut head: AnswerHead, asked: Asked<'_>) -> Result<(), &'static str> {
        let length = body::of_answer(&asked.head.method, &head)?;
        self.reusable = head.minor == 1
            && !head.fields.lists("connection", "close")
            && length != Length::UntilClose;
        head.fields.remove_hop_by_hop();
        if let Length::Exact(length @ 1..) = length
            && head.fields.first("content-length").is_some_and(|value| value.starts_with(b"0"))
        {
            // Whoever counts digits on the way to the client counts none but those that matter.
            head.fields.remove("content-length");
            head.fields.push("Content-Length", length.to_string());
        }
        // A body whose end is not known by number goes in chunks to those who know chunks.
        if matches!(length, Length::Chunked | Length::UntilClose) {
            if asked.head.minor == 1 {
                self.encoder = Encoder::Chunked;
                head.fields.push("Transfer-Encoding", "chunked");
            } else {
                self.close = true;
            }
        }
        // The service answers without having heard all: the rest can't be told from a new request.
        self.close |= !asked.complete;
        if let Some(word) = persistence(self.close, asked.head.minor) {
            head.fields.push("Connection", word);
        }
        self.status = head.status;
        self.write_head(head);
        let body = Decoder::new(Sender::Service, length);
        let has_no_body = body.is_complete();
        self.body = Some(body);
        if has_no_body {
            self.complete();
        }
        Ok(())
    }

    fn take_body(&mut self, arrived: &[u8], content: &mut Vec<u8>) -> Result<(), &'static str> {
        let Some(body) = &mut self.body else { return Ok(()) };
        content.clear();
        let taken = if self.is_complete { 0 } else { body.decode(arrived, content)? };
        self.encoder.encode(content, self.outbox.end());
        if body.is_complete() && !self.is_complete {
            self.complete();
        }
        if taken < arrived.len() {
            self.reusable = false; // it says more than it was asked
        }
        Ok(())
    }

    fn complete(&mut self) {
        let none = Fields::default();
        let trailers = self.body.as_ref().map_or(&none, |body| &body.trailers);
        self.encoder.end(trailers, self.outbox.end());
        self.is_complete = true;
    }

    fn write_head(&mut self, mut head: AnswerHead) {
        if matches!(head.status, 100..=199 | 204) {
            head.fields.remove("content-length"); // RFC 9110 section 8.6
        }
        let out = self.outbox.end();
        out.reserve(STATUS_LINE + head.fields.size() + SMALL_BODY);
        // Into memory, which takes all.
        let _ = write!(out, "HTTP/1.1 {} {}\r\n", head.status, head.reason);
        if head.status >= 200 && head.fields.first("date").is_none() {
            let _ = date::with_now(|now| write!(out, "Date: {now}\r\n")); // RFC 9110 section 6.6.1
        }
        head.fields.write_to(out);
    }
}
