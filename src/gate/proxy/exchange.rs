//! One admitted request on its way: which connection to the service, and the head it gets.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::IpAddr;

use super::http::Relay;
use crate::gate::connection::Connection;
use crate::gate::connection::stream::ClientStream;
use crate::gate::io::write_buffer;
use crate::gate::limits;
use crate::gate::limits::permits::{Kind, Permit};
use crate::gate::request::access_log::Record;
use crate::gate::request::router::Route;
use crate::http::body::Length;
use crate::http::fields;
use crate::http::head::{HeadBuffer, RequestHead};
use crate::http::target::Target;

/// Proof that policy let a request in; nothing is forwarded without it.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The appliance itself used the `Authorization` field, so the service doesn't get it.
    pub(crate) by_password: bool,
}

/// A request on its way.
pub(crate) struct Exchange {
    pub(crate) head: RequestHead,
    pub(crate) target: Target,
    pub(crate) route: Route,
    pub(crate) length: Length,
    pub(crate) peer: IpAddr,
    pub(crate) tls: bool,
    /// The connection ends after this answer, whatever happens.
    pub(crate) close: bool,
    pub(crate) record: Record,
    pub(crate) admitted: Admitted,
    /// A kept connection to the service died under it.
    pub(crate) needs_fresh: bool,
    /// Given back when the exchange is over.
    pub(crate) _place: Permit,
}

/// What an exchange needs of its client's connection, and memory that a thread lends it meanwhile.
pub(crate) struct Downstream<'a> {
    pub(crate) client: &'a mut ClientStream,
    /// What arrived behind the head: the beginning of the body, or the next request.
    pub(crate) arrived: &'a mut HeadBuffer,
    pub(crate) buffers: &'a mut Buffers,
}

impl<'a> Downstream<'a> {
    pub(crate) fn of(connection: &'a mut Connection, buffers: &'a mut Buffers) -> Downstream<'a> {
        Downstream { client: &mut connection.stream, arrived: &mut connection.head, buffers }
    }
}

/// Memory that a thread keeps from one exchange to the next.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) raw: Vec<u8>,
    pub(crate) content: Vec<u8>,
}

impl Buffers {
    /// Where bytes arrive.
    pub(crate) fn raw(&mut self) -> &mut [u8] {
        self.raw.resize(limits::RELAY_BYTES, 0);
        &mut self.raw
    }
}

/// How an exchange ended.
#[must_use]
#[derive(Debug)]
pub(crate) enum ExchangeEnd {
    /// The connection is ready for the next request.
    KeepAlive,
    /// The answer is out; say goodbye and hear the client out.
    Close,
    /// The answer can't be finished: cut the connection so that the client notices.
    Cut(String),
    /// Nothing has been sent to the client: a status and what the service did.
    Failed(u16, String),
}

/// What becomes of an exchange that is about to begin.
pub(crate) enum Start {
    Relay(Box<Relay>),
    /// It takes waiting to reach the service.
    Later(Box<Exchange>),
    Failed(Box<Exchange>, ExchangeEnd),
}

impl Exchange {
    /// Finds a connection to the service.
    pub(crate) fn start(self: Box<Exchange>, may_wait: bool) -> Start {
        // A kept connection may die under a request; only one that may be sent twice is risked on it.
        if self.may_repeat()
            && !self.needs_fresh
            && let Some(stream) = self.route.service.reuse()
        {
            return Start::Relay(Box::new(Relay::new(self, stream, true)));
        }
        match self.route.service.connect(may_wait) {
            Ok(Some(stream)) => Start::Relay(Box::new(Relay::new(self, stream, false))),
            Ok(None) => Start::Later(self),
            Err(e) => {
                let ending = self.unreachable(&e);
                Start::Failed(self, ending)
            }
        }
    }

    /// Of the place it holds.
    pub(crate) fn kind(&self) -> Kind {
        Kind::of(&self.route, self.length)
    }

    fn unreachable(&self, error: &io::Error) -> ExchangeEnd {
        ExchangeEnd::Failed(502, format!("{} can't be reached: {error}", self.route.service.name))
    }

    /// Idempotent (RFC 9110 section 9.2.2) and without a body that would be gone.
    fn may_repeat(&self) -> bool {
        matches!(self.head.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
            && self.length == Length::Exact(0)
            && !self.route.websocket
    }

    /// The connection to the service can serve nobody else: of a body in chunks that it does not read,
    /// tiny_http would take the rest for the next request.
    pub(crate) fn ends_service(&self) -> bool {
        self.route.area.is_own() && self.length == Length::Chunked
    }

    /// The request as the service gets it: rebuilt from what was judged, never copied as bytes.
    pub(crate) fn request_head(&self) -> Vec<u8> {
        let mut head = write_buffer::memory();
        let (method, path) = (self.head.method.as_str(), self.target.path.as_str());
        let (mark, query) = self.target.query.as_ref().map_or(("", ""), |query| ("?", query));
        for part in [method, " ", self.route.prefix, path, mark, query, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        let own = self.route.area.is_own();
        self.head.fields.write_crossing(&mut head, |field| {
            let is = |name: &str| field.eq_ignore_ascii_case(name.as_bytes());
            match () {
                // Framing is said anew, as it was understood.
                () if is("content-length") => false,
                // Nothing else is asked for, and reading it costs; cookies are nobody's business.
                () if own => is("content-type") || is("expect"),
                () if is("authorization") => !self.admitted.by_password,
                // A client's own claims about where it comes from are worth nothing: this is the first
                // hop.
                () => !fields::is_claim(field),
            }
        });
        let mut push = |name: &str, value: &dyn Display| {
            let _ = write!(head, "{name}: {value}\r\n"); // into memory, which takes all
        };
        push("X-Forwarded-For", &self.peer);
        push("X-Forwarded-Proto", &if self.tls { "https" } else { "http" });
        let host = self.target.authority.as_deref();
        if !own && self.head.fields.first("host").is_none() {
            push("Host", &host.unwrap_or("appliance")); // HTTP/1.0 without one; HTTP/1.1 needs it
        }
        // Of ours only uploads ask for it.
        if let Some(host) = host.filter(|_| !own || self.length != Length::Exact(0)) {
            push("X-Forwarded-Host", &host);
        }
        match self.length {
            Length::Exact(length) if self.head.fields.first("content-length").is_some() => {
                push("Content-Length", &length);
            }
            Length::Chunked => push("Transfer-Encoding", &"chunked"),
            Length::Exact(_) | Length::UntilClose => {}
        }
        if self.ends_service() {
            push("Connection", &"close");
        }
        if self.route.websocket {
            push("Connection", &"Upgrade");
            push("Upgrade", &"websocket");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}
