//! One admitted request on its way: which connection to the service, and the head it gets.

use std::net::IpAddr;

use super::framing::Length;
use super::head::{HeadBuffer, RequestHead};
use super::record::Record;
use super::relay::Relay;
use super::route::Route;
use super::stream::ClientStream;
use super::target::Target;

/// Proof that policy let a request in; nothing is forwarded without it.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The appliance itself used the `Authorization` field, so the service doesn't get it.
    pub(crate) by_password: bool,
}

/// A request on its way.
pub(crate) struct Exchange<'a> {
    pub(crate) client: &'a mut ClientStream,
    /// What arrived behind the head: the beginning of the body, or the next request.
    pub(crate) arrived: &'a mut HeadBuffer,
    pub(crate) head: &'a RequestHead,
    pub(crate) target: &'a Target,
    pub(crate) route: &'a Route,
    pub(crate) length: Length,
    pub(crate) websocket: bool,
    pub(crate) peer: IpAddr,
    pub(crate) tls: bool,
    /// The connection ends after this answer, whatever happens.
    pub(crate) close: bool,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) record: &'a mut Record,
}

/// Memory that a worker keeps from one exchange to the next.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(super) raw: Vec<u8>,
    pub(super) content: Vec<u8>,
}

/// How an exchange ended.
#[must_use]
#[derive(Debug)]
pub(crate) enum Ending {
    /// The connection is ready for the next request.
    KeepAlive,
    /// The answer is out; say goodbye and hear the client out.
    Close,
    /// The answer can't be finished: cut the connection so that the client notices.
    Cut(String),
    /// Nothing has been sent to the client: a status and what the service did.
    Failed(u16, String),
}

/// Forwards one request.
pub(crate) fn forward(mut exchange: Exchange<'_>, admitted: &Admitted) -> Ending {
    let route = exchange.route;
    let service = &route.service;
    let head = request_head(&exchange, admitted);
    // A kept connection may die under a request; only one that may be sent twice is risked on it.
    if may_repeat(&exchange)
        && let Some(stream) = service.reuse()
    {
        match Relay::new(&mut exchange, stream, &head).run() {
            Ending::Failed(502, _) => {}
            ending => return ending,
        }
    }
    match service.connect() {
        Ok(stream) => Relay::new(&mut exchange, stream, &head).run(),
        Err(e) => Ending::Failed(502, format!("{} can't be reached: {e}", service.name)),
    }
}

/// Idempotent (RFC 9110 section 9.2.2) and without a body that would be gone.
fn may_repeat(exchange: &Exchange<'_>) -> bool {
    matches!(exchange.head.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE")
        && exchange.length == Length::Exact(0)
        && !exchange.websocket
}

/// The request as the service gets it: rebuilt from what was judged, never copied as bytes.
fn request_head(exchange: &Exchange<'_>, admitted: &Admitted) -> Vec<u8> {
    let mut fields = exchange.head.fields.clone();
    fields.remove_hop_by_hop();
    if admitted.by_password {
        fields.remove("authorization");
    }
    // A client's own claims about where it comes from are worth nothing: this is the first hop.
    fields.remove_claims();
    fields.push("X-Forwarded-For", exchange.peer.to_string());
    fields.push("X-Forwarded-Proto", if exchange.tls { "https" } else { "http" });
    match &exchange.target.authority {
        Some(authority) => fields.push("X-Forwarded-Host", authority.as_str()),
        None => fields.push("Host", "appliance"), // HTTP/1.0 without Host; HTTP/1.1 needs one
    }
    // Framing is said anew, as it was understood.
    let said = fields.first("content-length").is_some();
    fields.remove("content-length");
    match exchange.length {
        Length::Exact(length) if said => fields.push("Content-Length", length.to_string()),
        Length::Chunked => fields.push("Transfer-Encoding", "chunked"),
        _ => {}
    }
    if exchange.websocket {
        fields.push("Connection", "Upgrade");
        fields.push("Upgrade", "websocket");
    }
    let query = exchange.target.query.as_ref().map(|q| format!("?{q}")).unwrap_or_default();
    let mut head = format!("{} {}{query} HTTP/1.1\r\n", exchange.head.method, exchange.route.path)
        .into_bytes();
    fields.write_to(&mut head);
    head
}
