//! What the gate reads out of a request's head before it judges the request.

use super::policy::Area;
use super::router::Route;
use crate::config::Listen;
use crate::gate::Gate;
use crate::http::Error;
use crate::http::body;
use crate::http::body::Length;
use crate::http::head::RequestHead;
use crate::http::target::Target;
use crate::management::LARGEST_BODY;

/// A request whose head is valid.
pub(crate) struct ParsedRequest {
    pub(crate) head: RequestHead,
    pub(crate) target: Target,
    pub(crate) length: Length,
    pub(crate) websocket: bool,
    /// The connection closes after the response.
    pub(crate) close: bool,
    /// Where it goes, if there is something at its path.
    pub(crate) route: Option<Route>,
}

impl Gate {
    /// The request with what [`validate`] has returned, and its route.
    pub(crate) fn parse(
        &self,
        listen: &Listen,
        head: RequestHead,
        target: Target,
        length: Length,
    ) -> ParsedRequest {
        let websocket = is_websocket(&head, length);
        ParsedRequest {
            websocket,
            close: self.is_draining() || !is_persistent(&head),
            route: self.routes.find(listen.serves, &target, websocket),
            target,
            length,
            head,
        }
    }
}

impl ParsedRequest {
    pub(crate) fn area(&self) -> Area {
        self.route.as_ref().map_or(Area::Unknown, |route| route.area)
    }

    /// The value of `Authorization`, of which there is one at most.
    pub(crate) fn login(&self) -> Option<&[u8]> {
        self.head.fields.first("authorization")
    }

    /// True if the announced length exceeds what the management API takes; a chunked body is counted as it comes.
    pub(crate) fn is_too_large(&self, route: &Route) -> bool {
        matches!(self.length, Length::Exact(bytes) if bytes > LARGEST_BODY as u64)
            && route.upstream.is_none()
    }
}

/// Checks the head and parses its target and length.
pub(crate) fn validate(head: &RequestHead) -> Result<(Target, Length), Error> {
    if head.method == "CONNECT" && !head.target.starts_with('/') {
        return Err(Error {
            status: 405,
            reason: "CONNECT is not supported: this is not a forward proxy",
        });
    }
    if head.fields.all("authorization").nth(1).is_some() {
        return Err(Error::bad_request("the request has two Authorization fields"));
    }
    let length = body::of_request(head)?;
    let target = Target::of(head)?;
    let mut expectations = head.fields.all("expect");
    let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if !expectations.all(known) {
        return Err(Error { status: 417, reason: "only Expect: 100-continue is supported" });
    }
    Ok((target, length))
}

/// True if the client wants to send more requests on this connection (RFC 9112 section 9.3).
///
/// A client of HTTP/1.0 sends `keep-alive` for that. A proxy that does not know `Connection` forwards it, and would
/// wait for a close that never comes (appendix C.2.2); so `keep-alive` is ignored if a proxy has added `Via`.
fn is_persistent(head: &RequestHead) -> bool {
    if head.method == "CONNECT" {
        return false; // what follows may not be HTTP
    }
    let says = |option| head.fields.lists("connection", option);
    let http_1_0 = head.minor == 0;
    !says("close") && (!http_1_0 || (says("keep-alive") && head.fields.first("via").is_none()))
}

/// True for a WebSocket handshake of RFC 6455 section 4.1, as far as a proxy needs to know.
fn is_websocket(head: &RequestHead, length: Length) -> bool {
    head.method == "GET"
        && head.minor == 1
        && length == Length::Exact(0)
        && head.fields.lists("connection", "upgrade")
        && head.fields.lists("upgrade", "websocket")
}
