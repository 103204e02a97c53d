//! Requests to the management API, which this process answers: the gate collects the body and calls the handler.

use std::io::{self, ErrorKind};
use std::time::Instant;

use zeroize::Zeroizing;

use super::response::persistence;
use crate::gate::Gate;
use crate::gate::connection::work::Work;
use crate::gate::connection::{Action, Connection, State, Step, Then};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::limits;
use crate::gate::limits::permits::Class;
use crate::gate::limits::token_bucket::{MIN_BODY_COST, TokenBucket};
use crate::gate::proxy::exchange::{Buffers, Downstream, Exchange, ExchangeEnd};
use crate::http::body::{Decoder, Length, Sender};
use crate::management::{Call, LARGEST_BODY, NetworkRequest, NetworkResponse};

/// A request to the management API, and what has arrived of its body.
pub(crate) struct LocalCall {
    exchange: Box<Exchange>,
    call: Call,
    decoder: Decoder,
    /// Has its full capacity from the start: a vector that grows leaves unwiped copies behind.
    body: Zeroizing<Vec<u8>>,
    /// The 100 (Continue) that the client waits for.
    interim: WriteBuffer,
}

impl LocalCall {
    fn new(exchange: Box<Exchange>, call: Call) -> LocalCall {
        let capacity = match exchange.length {
            _ if !call.has_handler() => 0,
            Length::Exact(bytes) => usize::try_from(bytes).unwrap_or(LARGEST_BODY),
            Length::Chunked | Length::UntilClose => LARGEST_BODY + limits::PROXY_BUFFER_BYTES,
        };
        let expects_continue =
            exchange.head.minor > 0 && exchange.head.fields.first("expect").is_some();
        let interim: &[u8] = if expects_continue { b"HTTP/1.1 100 Continue\r\n\r\n" } else { b"" };
        LocalCall {
            decoder: Decoder::new(Sender::Client, exchange.length),
            body: Zeroizing::new(Vec::with_capacity(capacity)),
            interim: WriteBuffer::of(interim.to_vec()),
            exchange,
            call,
        }
    }

    /// True if no more of the body is needed to call the handler.
    fn is_ready(&self) -> bool {
        self.decoder.is_complete() || self.body.len() > LARGEST_BODY || !self.call.has_handler()
    }

    /// Reads what has arrived of the body; `None` when no more of it is needed.
    fn collect(&mut self, downstream: &mut Downstream<'_>) -> Result<Option<Action>, ExchangeEnd> {
        if !self.interim.is_empty() {
            self.interim.send(downstream.client).map_err(|e| client_failed(&e))?;
        }
        match downstream.client.try_flush() {
            Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(client_failed(&e)),
            _ => {}
        }
        let ahead = downstream.read_ahead.take_rest();
        self.take(&ahead, downstream)?;
        for _ in 0..limits::STEPS_PER_TURN {
            if self.is_ready() {
                return Ok(None);
            }
            let mut raw = std::mem::take(&mut downstream.buffers.raw);
            raw.resize(limits::PROXY_BUFFER_BYTES, 0);
            let read = downstream.client.try_read(&mut raw);
            let taken = match read {
                Ok(0) => Err(client_failed(&ErrorKind::UnexpectedEof.into())),
                Ok(n) => self.take(raw.get(..n).unwrap_or_default(), downstream).map(|()| None),
                Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Some(Action::Wait)),
                Err(e) => Err(client_failed(&e)),
            };
            downstream.buffers.raw = raw;
            if let Some(wait) = taken? {
                return Ok(Some(wait));
            }
        }
        Ok(if self.is_ready() { None } else { Some(Action::Yield) })
    }

    /// Takes what belongs to the body; the rest stays for the next request.
    fn take(&mut self, arrived: &[u8], downstream: &mut Downstream<'_>) -> Result<(), ExchangeEnd> {
        let taken = self.decoder.decode(arrived, &mut self.body);
        let taken =
            taken.map_err(|error| ExchangeEnd::Failed(error.status, error.reason.to_owned()))?;
        self.exchange.record.received = self.body.len() as u64;
        downstream.read_ahead.extend(arrived.get(taken..).unwrap_or_default());
        Ok(())
    }

    /// The class of its permit.
    pub(crate) fn class(&self) -> Class {
        self.exchange.class()
    }

    /// When the request came.
    pub(crate) fn since(&self) -> Instant {
        self.exchange.record.since
    }

    /// True if bytes wait for the client to accept them.
    pub(crate) fn waits_to_write(&self) -> bool {
        !self.interim.is_empty()
    }

    /// How the call ends when the client has sent nothing for [`limits::BODY_PROGRESS`].
    pub(crate) fn on_timeout() -> ExchangeEnd {
        ExchangeEnd::Failed(408, "timed out waiting for the request body".to_owned())
    }

    /// Gives up the call; what it was for is to be logged.
    pub(crate) fn into_exchange(self) -> Box<Exchange> {
        self.exchange
    }
}

impl Gate {
    /// Finds the handler of an admitted request, and calls it when the body is there.
    pub(crate) fn begin_call(&self, connection: &mut Connection, exchange: Box<Exchange>) -> Step {
        let target = &exchange.target;
        let content_type = exchange.head.fields.first("content-type");
        let call = self.management.find(NetworkRequest {
            method: exchange.head.method.clone(),
            path: format!("{}{}", exchange.route.prefix, target.path),
            query: target.query.clone().unwrap_or_default(),
            content_type: content_type.map(|value| String::from_utf8_lossy(value).into_owned()),
            authority: target.authority.clone(),
            peer: exchange.peer,
            tls: exchange.tls,
        });
        let call = LocalCall::new(exchange, call);
        if call.is_ready() {
            return self.on_collected(connection, Box::new(call));
        }
        let now = Instant::now();
        connection.deadline = now + limits::BODY_PROGRESS;
        connection.bucket = TokenBucket::new(now);
        Step::Next(State::Collecting(Box::new(call)))
    }

    /// Collects the body of a request.
    pub(crate) fn collect(
        &self,
        connection: &mut Connection,
        mut call: Box<LocalCall>,
        buffers: &mut Buffers,
    ) -> Step {
        if connection.hung_up {
            let end = ExchangeEnd::Abort("the client disconnected".to_owned());
            return self.finish_exchange(connection, *call.exchange, end);
        }
        let before = call.exchange.record.received;
        match call.collect(&mut connection.downstream(buffers)) {
            Ok(None) => self.on_collected(connection, call),
            Ok(Some(action)) => {
                let moved = call.exchange.record.received - before;
                if moved > 0 {
                    connection.record_progress(moved.max(MIN_BODY_COST), limits::BODY_PROGRESS);
                }
                Step::Pause(State::Collecting(call), action)
            }
            Err(end) => self.finish_exchange(connection, *call.exchange, end),
        }
    }

    fn on_collected(&self, connection: &mut Connection, call: Box<LocalCall>) -> Step {
        if call.call.may_block() {
            return Step::Block(Work::Call(call));
        }
        let (exchange, response) = self.call(*call);
        self.on_answered(connection, *exchange, response)
    }

    /// Calls the handler, which may block.
    pub(crate) fn call(&self, local: LocalCall) -> (Box<Exchange>, NetworkResponse) {
        let LocalCall { mut exchange, call, decoder, body, .. } = local;
        // What has not been read would be taken for the next request.
        exchange.close |= !decoder.is_complete();
        let word = persistence(exchange.close, exchange.head.minor);
        let response = self.management.answer(call, body, word);
        (exchange, response)
    }

    /// Sends the response of the management API.
    pub(crate) fn on_answered(
        &self,
        connection: &mut Connection,
        exchange: Exchange,
        response: NetworkResponse,
    ) -> Step {
        let class = exchange.class();
        let Exchange { head, target, route, close, mut record, permit, .. } = exchange;
        (record.status, record.sent) = (response.status, response.length);
        self.log_access(&record, &head.method, &target.path, &route.upstream.name);
        let then = if close { Then::Close } else { Then::NextRequest };
        Step::Next(connection.respond(response.bytes, then, Some((class, permit))))
    }
}

fn client_failed(error: &io::Error) -> ExchangeEnd {
    ExchangeEnd::Abort(format!("the client disconnected: {error}"))
}
