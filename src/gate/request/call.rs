//! Requests to the management API, which this process answers: the gate collects the body and calls the handler.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Instant;

use zeroize::Zeroizing;

use super::response::persistence;
use crate::gate::Gate;
use crate::gate::connection::work::HandlerRun;
use crate::gate::connection::{Action, Connection, State, Step, Then};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::limits;
use crate::gate::limits::token_bucket::{MIN_BODY_COST, TokenBucket};
use crate::gate::proxy::exchange::{ActiveRequest, Buffers, Downstream, ExchangeEnd};
use crate::http::body::{self, Decoder, Length};
use crate::management::{Call, LARGEST_BODY, Method, NetworkResponse, Request};

/// A request to the management API, and what has arrived of its body.
pub(crate) struct LocalCall {
    pub(crate) request: ActiveRequest,
    call: Call,
    decoder: Decoder,
    /// Has its full capacity from the start: a vector that grows leaves unwiped copies behind.
    body: Zeroizing<Vec<u8>>,
    /// Bytes of the body that are enough for a response.
    enough: usize,
    /// The 100 (Continue) that the client waits for.
    interim: WriteBuffer,
}

/// A request whose handler is at work on a thread that may block.
pub(crate) struct RunningCall {
    pub(crate) request: ActiveRequest,
    response: Receiver<NetworkResponse>,
}

impl LocalCall {
    fn new(request: ActiveRequest, call: Call) -> LocalCall {
        let expects_continue =
            request.head.minor > 0 && request.head.fields.first("expect").is_some();
        let (enough, interim): (_, &[u8]) = match (call.needs_body(), expects_continue) {
            (true, true) => (LARGEST_BODY + 1, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (true, false) => (LARGEST_BODY + 1, b""),
            (false, true) => (0, b""),
            (false, false) => (limits::MANAGEMENT_BUFFER_BYTES, b""), // the connection can be kept
        };
        let length = match request.length {
            Length::Exact(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            Length::Chunked | Length::UntilClose => usize::MAX,
        };
        let capacity = length.min(enough + limits::PROXY_BUFFER_BYTES);
        LocalCall {
            decoder: Decoder::new(body::Sender::Client, request.length),
            body: Zeroizing::new(Vec::with_capacity(capacity)),
            enough,
            interim: WriteBuffer::of(interim.to_vec()),
            request,
            call,
        }
    }

    /// True if no more of the body is needed for a response.
    fn is_ready(&self) -> bool {
        self.decoder.is_complete() || self.body.len() >= self.enough
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
        self.request.record.received = self.body.len() as u64;
        downstream.read_ahead.extend(arrived.get(taken..).unwrap_or_default());
        Ok(())
    }

    /// True if bytes wait for the client to accept them.
    pub(crate) fn waits_to_write(&self) -> bool {
        !self.interim.is_empty()
    }
}

impl Gate {
    /// Finds the handler of an admitted request, and calls it when the body is there.
    pub(crate) fn begin_call(&self, connection: &mut Connection, request: ActiveRequest) -> Step {
        let target = &request.target;
        let content_type = request.head.fields.first("content-type");
        let asked = Request {
            method: Method::parse(&request.head.method),
            path: format!("{}{}", request.route.prefix, target.path),
            query: target.query.clone().unwrap_or_default(),
            content_type: content_type.map(|value| String::from_utf8_lossy(value).into_owned()),
            authority: target.authority.clone(),
            peer: Some(request.peer),
            body: Ok(Zeroizing::default()), // not yet there
        };
        let call = self.management.find(asked, request.tls);
        let call = LocalCall::new(request, call);
        if call.is_ready() {
            return self.on_collected(connection, call);
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
            return self.finish_request(connection, call.request, disconnected());
        }
        let before = call.request.record.received;
        match call.collect(&mut connection.downstream(buffers)) {
            Ok(None) => self.on_collected(connection, *call),
            Ok(Some(action)) => {
                let moved = call.request.record.received - before;
                if moved > 0 {
                    connection.record_progress(moved.max(MIN_BODY_COST), limits::BODY_PROGRESS);
                }
                Step::Pause(State::Collecting(call), action)
            }
            Err(end) => self.finish_request(connection, call.request, end),
        }
    }

    /// Calls the handler: here if it does not block, otherwise on a thread of its own.
    fn on_collected(&self, connection: &mut Connection, call: LocalCall) -> Step {
        let LocalCall { mut request, call, decoder, body, .. } = call;
        // What has not been read would be taken for the next request.
        request.close |= !decoder.is_complete();
        let persistence = persistence(request.close, request.head.minor);
        if !call.may_block() {
            let response = self.management.answer(call, body, persistence);
            return self.on_answered(connection, request, response);
        }
        let (sender, response) = mpsc::channel();
        let run = HandlerRun { call, body, persistence, response: sender };
        connection.deadline = Instant::now() + limits::MANAGEMENT_TIMEOUT;
        let state = State::Calling(Box::new(RunningCall { request, response }));
        Step::Pause(state, Action::Call(Box::new(run)))
    }

    /// Sends the response of a handler, if it is there.
    pub(crate) fn await_response(
        &self,
        connection: &mut Connection,
        call: Box<RunningCall>,
    ) -> Step {
        let end = match call.response.try_recv() {
            Ok(response) => return self.on_answered(connection, call.request, response),
            Err(TryRecvError::Empty) if connection.hung_up => disconnected(),
            Err(TryRecvError::Empty) => return Step::Pause(State::Calling(call), Action::Wait),
            // There was no thread for it.
            Err(TryRecvError::Disconnected) => ExchangeEnd::Failed(503, self.busy_reason(None)),
        };
        self.finish_request(connection, call.request, end)
    }

    fn on_answered(
        &self,
        connection: &mut Connection,
        request: ActiveRequest,
        response: NetworkResponse,
    ) -> Step {
        let class = request.class();
        let ActiveRequest { head, target, route, close, mut record, permit, .. } = request;
        (record.status, record.sent) = (response.status, response.length);
        self.log_access(&record, &head.method, &target.path, route.service());
        let then = if close { Then::Close } else { Then::NextRequest };
        Step::Next(connection.respond(response.bytes, then, Some((class, permit))))
    }
}

fn disconnected() -> ExchangeEnd {
    ExchangeEnd::Abort("the client disconnected".to_owned())
}

fn client_failed(error: &io::Error) -> ExchangeEnd {
    ExchangeEnd::Abort(format!("the client disconnected: {error}"))
}
