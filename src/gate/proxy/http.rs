//! One HTTP exchange: both directions at once, streamed through bounded buffers, without waiting.
//!
//! One thread moves both directions, so a response that begins before the upload has ended reaches the client, and
//! neither side can block the other for ever.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::exchange::{Downstream, Exchange, ExchangeEnd, Progress};
use super::request_body::RequestBody;
use super::response_body::{Received, RequestContext, ResponseBody};
use super::websocket::Tunnel;
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits;
use crate::gate::limits::permits::Class;
use crate::gate::upstream::stream::UpstreamStream;
use crate::http::fields::Fields;

/// An exchange with a connection to its service.
pub(crate) struct HttpProxy {
    exchange: Exchange,
    upstream: UpstreamStream,
    /// The upstream connection has carried other requests before.
    reused: bool,
    /// The upstream connection can carry another request.
    reusable: bool,
    request_body: RequestBody,
    response_body: ResponseBody,
    /// How often something has moved until no more was there to move.
    reads: u64,
    /// The service has sent a response, interim or final.
    has_responded: bool,
}

/// Why an exchange stops.
enum Stop {
    Upgraded,
    End(ExchangeEnd),
}

impl From<ExchangeEnd> for Stop {
    fn from(end: ExchangeEnd) -> Stop {
        Stop::End(end)
    }
}

impl HttpProxy {
    pub(crate) fn new(exchange: Exchange, upstream: UpstreamStream, reused: bool) -> HttpProxy {
        HttpProxy {
            request_body: RequestBody::new(exchange.request_head(), exchange.request.length),
            response_body: ResponseBody::new(exchange.request.close),
            exchange,
            upstream,
            reused,
            reusable: false,
            reads: 0,
            has_responded: false,
        }
    }

    /// Moves what can be moved without waiting.
    pub(crate) fn advance(&mut self, downstream: &mut Downstream<'_>) -> Progress {
        let ahead = self.take_read_ahead(downstream);
        if let Err(end) = ahead.and_then(|()| self.detect_client_close(downstream)) {
            return Progress::Done(end);
        }
        let mut moved = false;
        for _ in 0..limits::STEPS_PER_TURN {
            match self.step(downstream) {
                Ok(true)
                    if !self.response_body.wants_more() && !self.response_body.is_waiting() =>
                {
                    return Progress::Done(self.finish());
                }
                Ok(true) => moved = true,
                Ok(false) => {
                    self.reads += u64::from(moved);
                    return Progress::Pending(moved);
                }
                Err(Stop::Upgraded) => return Progress::Upgraded,
                Err(Stop::End(end)) => return Progress::Done(end),
            }
        }
        Progress::Yield
    }

    /// Returns the exchange, to be repeated or logged. The upstream connection goes into the pool if it can be
    /// reused.
    pub(crate) fn into_exchange(self) -> Exchange {
        if self.reusable {
            self.exchange.upstream.keep(self.upstream);
        }
        self.exchange
    }

    /// Continues as a WebSocket; `arrived` are the bytes that the client has sent after its head.
    pub(crate) fn into_tunnel(mut self, arrived: Vec<u8>) -> Tunnel {
        let to_client = self.response_body.take_unsent();
        // Tunnels are open for long, and nothing asks for the fields of their request any more.
        self.exchange.request.head.fields = Fields::default();
        Tunnel::new(self.exchange, self.upstream, arrived, to_client)
    }

    /// Bytes of both bodies that have been moved.
    pub(crate) fn bytes_moved(&self) -> u64 {
        self.exchange.request.record.received + self.exchange.request.record.sent
    }

    /// True if a dead pooled connection may be the reason for `end`.
    pub(crate) fn may_retry(&self, end: &ExchangeEnd) -> bool {
        self.reused && !self.response_body.has_head() && matches!(end, ExchangeEnd::Failed(502, _))
    }

    /// The upstream connection, and whether bytes wait for the service to accept them.
    pub(crate) fn upstream(&mut self) -> (&mut UpstreamStream, bool) {
        (&mut self.upstream, self.request_body.is_waiting())
    }

    /// True if bytes wait for the client to accept them.
    pub(crate) fn waits_to_write_to_client(&self) -> bool {
        self.response_body.is_waiting()
    }

    /// Moves bytes once in each direction; true if anything has moved.
    fn step(&mut self, downstream: &mut Downstream<'_>) -> Result<bool, Stop> {
        let mut moved = false;
        if self.response_body.is_waiting() {
            moved |= self.response_body.send(downstream.client).map_err(|e| client_failed(&e))?;
        } else if self.response_body.wants_more() {
            moved |= self.read_upstream(downstream)?;
        }
        if self.request_body.is_waiting() {
            moved |= self.request_body.send(&mut self.upstream);
        } else if self.request_body.wants_more() {
            moved |= self.read_client(downstream)?;
        }
        Ok(moved)
    }

    /// Detects a TLS client that has closed TCP without a close_notify: it has disconnected (RFC 8446 section 6.1),
    /// even if it has sent more requests before.
    fn detect_client_close(&self, downstream: &mut Downstream<'_>) -> Result<(), ExchangeEnd> {
        if !downstream.client.may_be_truncated() || !self.request_body.is_complete() {
            return Ok(());
        }
        while downstream.read_ahead.len() <= crate::http::limits::HEAD_BYTES {
            match downstream.client.try_read(downstream.buffers.raw()) {
                Ok(0) => break,
                Ok(n) => downstream
                    .read_ahead
                    .extend(downstream.buffers.raw.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(client_failed(&e)),
            }
        }
        Ok(())
    }

    /// Forwards body bytes that arrived with the head; the rest stays for the next request.
    fn take_read_ahead(&mut self, downstream: &mut Downstream<'_>) -> Result<(), ExchangeEnd> {
        if self.request_body.is_complete() || downstream.read_ahead.is_empty() {
            return Ok(());
        }
        let arrived = downstream.read_ahead.take_rest();
        self.forward_request(&arrived, downstream)
    }

    fn read_client(&mut self, downstream: &mut Downstream<'_>) -> Result<bool, Stop> {
        let mut raw = std::mem::take(&mut downstream.buffers.raw);
        raw.resize(limits::PROXY_BUFFER_BYTES, 0);
        let moved = match downstream.client.try_read(&mut raw) {
            Ok(0) => Err(client_failed(&ErrorKind::UnexpectedEof.into())),
            Ok(n) => {
                self.forward_request(raw.get(..n).unwrap_or_default(), downstream).map(|()| true)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(client_failed(&e)),
        };
        downstream.buffers.raw = raw;
        Ok(moved?)
    }

    fn forward_request(
        &mut self,
        arrived: &[u8],
        downstream: &mut Downstream<'_>,
    ) -> Result<(), ExchangeEnd> {
        if let Some(taken) = self.request_body.pass_through(arrived, &mut self.upstream) {
            self.exchange.request.record.received += taken as u64;
            downstream.read_ahead.extend(arrived.get(taken..).unwrap_or_default());
            return Ok(());
        }
        let taken = self.request_body.take(arrived, &mut downstream.buffers.content);
        let taken = taken.map_err(|error| self.failure(error.status, error.reason.to_owned()))?;
        self.exchange.request.record.received += downstream.buffers.content.len() as u64;
        downstream.read_ahead.extend(arrived.get(taken..).unwrap_or_default());
        Ok(())
    }

    fn read_upstream(&mut self, downstream: &mut Downstream<'_>) -> Result<bool, Stop> {
        let mut raw = std::mem::take(&mut downstream.buffers.raw);
        raw.resize(limits::PROXY_BUFFER_BYTES, 0);
        let moved = match self.upstream.try_read(&mut raw) {
            Ok(0) => self.upstream_closed("it closed the connection").map_err(Stop::from),
            Ok(n) => self.forward_response(raw.get(..n).unwrap_or_default(), downstream),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(self.upstream_failed(&e.to_string()).into()),
        };
        downstream.buffers.raw = raw;
        moved
    }

    fn forward_response(
        &mut self,
        arrived: &[u8],
        downstream: &mut Downstream<'_>,
    ) -> Result<bool, Stop> {
        if self.response_body.has_head() {
            return self.forward_body(arrived, downstream);
        }
        let request = RequestContext {
            head: &self.exchange.request.head,
            websocket: self.exchange.request.route.websocket,
            complete: self.request_body.is_complete(),
            tls: self.exchange.request.tls,
            hsts: downstream.hsts,
        };
        if !self.has_responded {
            self.has_responded = true;
            let waited = self.exchange.request.record.since.elapsed();
            downstream.metrics.first_byte(self.exchange.upstream.number, waited);
        }
        match self.response_body.take_head(arrived, request) {
            Ok(Received::Interim) => Ok(true),
            Ok(Received::Head(status, rest)) => {
                self.exchange.request.record.status = status;
                self.forward_body(&rest, downstream)
            }
            Ok(Received::Upgraded) => {
                self.exchange.request.record.status = 101;
                Err(Stop::Upgraded)
            }
            Err(error) => Err(self.response_invalid(error.reason).into()),
        }
    }

    fn forward_body(
        &mut self,
        arrived: &[u8],
        downstream: &mut Downstream<'_>,
    ) -> Result<bool, Stop> {
        let sent = match self.response_body.pass_through(arrived, downstream.client) {
            Some(passed) => passed.map_err(|e| client_failed(&e))?,
            None => {
                let content = &mut downstream.buffers.content;
                let taken = self.response_body.take_body(arrived, content);
                taken.map_err(|error| self.response_invalid(error.reason))?;
                content.len()
            }
        };
        self.exchange.request.record.sent += sent as u64;
        Ok(true)
    }

    fn upstream_closed(&mut self, why: &str) -> Result<bool, ExchangeEnd> {
        if self.response_body.end_of_connection() {
            Ok(true)
        } else {
            Err(self.upstream_failed(why))
        }
    }

    fn response_invalid(&self, reason: &str) -> ExchangeEnd {
        let name = &self.exchange.upstream.name;
        self.failure(502, format!("invalid response from {name}: {reason}"))
    }

    /// The end for the reason `why`: a response with `status`, or a reset if another response has begun.
    fn failure(&self, status: u16, why: String) -> ExchangeEnd {
        if self.response_body.has_begun() {
            ExchangeEnd::Abort(why)
        } else {
            ExchangeEnd::Failed(status, why)
        }
    }

    fn upstream_failed(&self, why: &str) -> ExchangeEnd {
        let name = &self.exchange.upstream.name;
        if self.response_body.has_begun() {
            ExchangeEnd::Abort(format!("{name} aborted its response: {why}"))
        } else {
            ExchangeEnd::Failed(502, format!("{name} did not respond: {why}"))
        }
    }

    fn waits_for_client(&self) -> bool {
        self.request_body.wants_more() && !self.request_body.is_waiting()
    }

    /// True if the exchange waits for the client, and not for a service that should send 100 (Continue).
    fn awaits_client(&self) -> bool {
        let expects_continue = !self.has_responded
            && self.exchange.request.record.received == 0
            && self.exchange.request.head.fields.first("expect").is_some();
        self.waits_for_client() && !expects_continue
    }

    /// The class of its permit.
    pub(crate) fn class(&self) -> Class {
        self.exchange.class()
    }

    /// See `Connection::slow_since`; `read_closed` if the client will send no more.
    pub(crate) fn slow_since(&self, read_closed: bool) -> Option<Instant> {
        let since = self.exchange.request.record.since;
        let waits_for_client = self.response_body.is_waiting() || self.waits_for_client();
        let slow = self.bytes_moved() < limits::MIN_BYTES_PER_SECOND * since.elapsed().as_secs()
            || (self.reads >= limits::SLOW_READS
                && self.bytes_moved() < limits::MIN_BYTES_PER_READ * self.reads);
        let may_have_gone = read_closed && !self.response_body.has_begun();
        (may_have_gone || waits_for_client && slow).then_some(since)
    }

    /// How long nothing may move, depending on which side it waits for.
    pub(crate) fn timeout(&self) -> Duration {
        if self.response_body.is_waiting() || self.awaits_client() {
            limits::BODY_PROGRESS
        } else {
            self.exchange.upstream.timeout
        }
    }

    /// How the exchange ends when the timeout has passed.
    pub(crate) fn on_timeout(&self) -> ExchangeEnd {
        let name = &self.exchange.upstream.name;
        if self.response_body.has_begun() || self.response_body.is_waiting() {
            ExchangeEnd::Abort("timed out: no data moved".to_owned())
        } else if self.awaits_client() {
            ExchangeEnd::Failed(408, "timed out waiting for the request body".to_owned())
        } else {
            ExchangeEnd::Failed(504, format!("{name} did not respond in time"))
        }
    }

    /// How the exchange ends when the response is sent.
    fn finish(&mut self) -> ExchangeEnd {
        let delivered = self.request_body.is_delivered();
        self.reusable = self.response_body.reusable && delivered;
        if self.response_body.close || !delivered {
            ExchangeEnd::Close
        } else {
            ExchangeEnd::KeepAlive
        }
    }
}

fn client_failed(error: &io::Error) -> ExchangeEnd {
    ExchangeEnd::Abort(format!("the client disconnected: {error}"))
}
