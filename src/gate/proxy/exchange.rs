//! One authorized request: its state, and the head that the service gets.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use crate::gate::connection::stream::ClientStream;
use crate::gate::io::write_buffer;
use crate::gate::limits;
use crate::gate::limits::permits::{Class, Permit};
use crate::gate::request::access_log::Record;
use crate::gate::request::hsts::Hsts;
use crate::gate::request::job_token;
use crate::gate::request::router::Route;
use crate::gate::upstream::connect::Upstream;
use crate::http::body::Length;
use crate::http::fields;
use crate::http::head::{HeadBuffer, RequestHead};
use crate::http::target::Target;
use crate::metrics::Metrics;
use crate::util::append::append;

/// Proof that the policy has authorized a request; nothing is forwarded without it.
///
/// What the appliance itself has used for that is not for the service, which might log it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authorized {
    /// Nothing was required.
    Openly,
    /// The service does not get the `Authorization` field.
    ByPassword,
    /// The service gets neither the `Authorization` field nor the parameter `jwt` of the query.
    ByJobToken,
}

/// A request in progress: authorized, and with a permit until it has ended.
pub(crate) struct ActiveRequest {
    pub(crate) head: RequestHead,
    pub(crate) target: Target,
    pub(crate) route: Route,
    pub(crate) length: Length,
    pub(crate) peer: IpAddr,
    pub(crate) tls: bool,
    /// The connection to the client closes after this response.
    pub(crate) close: bool,
    pub(crate) record: Record,
    pub(crate) permit: Permit,
}

/// A request that is forwarded to a service.
pub(crate) struct Exchange {
    pub(crate) request: ActiveRequest,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) authorized: Authorized,
    /// A pooled connection was dead, so a new one is needed.
    pub(crate) is_retry: bool,
}

/// What an exchange needs of its client's connection, and buffers of the thread.
pub(crate) struct Downstream<'a> {
    pub(crate) client: &'a mut ClientStream,
    /// Bytes that arrived after the head: the beginning of the body, or the next request.
    pub(crate) read_ahead: &'a mut HeadBuffer,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) hsts: &'a Hsts,
    pub(crate) metrics: &'a Metrics,
}

/// Buffers that a thread uses for one exchange after the other.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) raw: Vec<u8>,
    pub(crate) content: Vec<u8>,
}

impl Buffers {
    /// The buffer for bytes from a socket.
    pub(crate) fn raw(&mut self) -> &mut [u8] {
        self.raw.resize(limits::PROXY_BUFFER_BYTES, 0);
        &mut self.raw
    }
}

/// How an exchange ended.
#[must_use]
#[derive(Debug)]
pub(crate) enum ExchangeEnd {
    /// The connection is ready for the next request.
    KeepAlive,
    /// The response is sent; close the connection gracefully.
    Close,
    /// The response cannot be completed: reset the connection so that the client notices.
    Abort(String),
    /// Nothing has been sent to the client: the status and the reason for it.
    Failed(u16, String),
}

/// The result of moving what could be moved without waiting.
#[must_use]
pub(crate) enum Progress {
    /// Nothing more moves without an event; true if anything has moved.
    Pending(bool),
    /// There is more to move after others have had their turn.
    Yield,
    /// Both sides have agreed on a WebSocket.
    Upgraded,
    Done(ExchangeEnd),
}

impl ActiveRequest {
    /// The class of its permit.
    pub(crate) fn class(&self) -> Class {
        Class::of(&self.route, self.length)
    }
}

impl Exchange {
    /// The class of its permit.
    pub(crate) fn class(&self) -> Class {
        self.request.class()
    }

    /// True if the request is idempotent (RFC 9110 section 9.2.2) and has no body.
    pub(crate) fn is_repeatable(&self) -> bool {
        matches!(self.request.head.method.as_ref(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
            && self.request.length == Length::Exact(0)
            && !self.request.route.websocket
    }

    /// The query for the service.
    fn query(&self) -> Option<Cow<'_, str>> {
        let query = self.request.target.query.as_deref()?;
        match self.authorized {
            Authorized::ByJobToken => job_token::without_token(query).map(Cow::Owned),
            Authorized::Openly | Authorized::ByPassword => Some(Cow::Borrowed(query)),
        }
    }

    /// The request head for the service, built from the parsed request.
    pub(crate) fn request_head(&self) -> Vec<u8> {
        let mut head = write_buffer::take_spare();
        let (method, path) = (self.request.head.method.as_ref(), self.request.target.path.as_str());
        let query = self.query();
        let (separator, query) = query.as_deref().map_or(("", ""), |query| ("?", query));
        let prefix = self.request.route.prefix;
        append(&mut head, &[method, " ", prefix, path, separator, query, " HTTP/1.1\r\n"]);
        self.request.head.fields.write_end_to_end(&mut head, |field| {
            let is = |name: &str| field.eq_ignore_ascii_case(name.as_bytes());
            match () {
                // Written below, as it was parsed.
                () if is("content-length") => false,
                () if is("authorization") => self.authorized == Authorized::Openly,
                // This is the first proxy, so what a client claims about its origin is dropped.
                () => !fields::is_forwarding_claim(field),
            }
        });
        append(&mut head, &["X-Forwarded-For: "]);
        append_address(&mut head, self.request.peer);
        let scheme = if self.request.tls { "https" } else { "http" };
        append(&mut head, &["\r\nX-Forwarded-Proto: ", scheme, "\r\n"]);
        let host = self.request.target.authority.as_deref();
        if self.request.head.fields.first("host").is_none() {
            // HTTP/1.0 may have none, HTTP/1.1 needs one.
            append(&mut head, &["Host: ", host.unwrap_or("appliance"), "\r\n"]);
        }
        if let Some(host) = host {
            append(&mut head, &["X-Forwarded-Host: ", host, "\r\n"]);
        }
        match self.request.length {
            Length::Exact(length) if self.request.head.fields.first("content-length").is_some() => {
                let mut text = itoa::Buffer::new();
                append(&mut head, &["Content-Length: ", text.format(length), "\r\n"]);
            }
            Length::Chunked => append(&mut head, &["Transfer-Encoding: chunked\r\n"]),
            Length::Exact(_) | Length::UntilClose => {}
        }
        if self.request.route.websocket {
            append(&mut head, &["Connection: Upgrade\r\nUpgrade: websocket\r\n"]);
        }
        append(&mut head, &["\r\n"]);
        head
    }
}

/// Appends `address` as its `Display` does, and an IPv4 address, which most are, in a fifth of the time.
fn append_address(head: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        let _ = write!(head, "{address}"); // a Vec accepts all bytes
        return;
    };
    for (separator, octet) in ["", ".", ".", "."].into_iter().zip(address.octets()) {
        append(head, &[separator, itoa::Buffer::new().format(octet)]);
    }
}
