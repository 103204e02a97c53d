//! Requests to the management API, which this process answers: the gate collects the body and calls the handler.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Instant;

use zeroize::Zeroizing;

use super::response::persistence;
use crate::gate::Gate;
use crate::gate::connection::stream::ClientStream;
use crate::gate::connection::work::HandlerRun;
use crate::gate::connection::{Action, Connection, State, Step, Then};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits;
use crate::gate::limits::token_bucket::{MIN_BODY_COST, TokenBucket};
use crate::gate::proxy::exchange::{ActiveRequest, ExchangeEnd};
use crate::http::body::{Decoder, Length, Sender};
use crate::http::head::{HeadBuffer, RequestHead};
use crate::management::{Call, LARGEST_BODY, Method, NetworkResponse, Request};

/// Bytes that are read of a body at once.
const READ_BYTES: usize = 16 << 10;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request to the management API, and what has arrived of its body.
pub(crate) struct LocalCall {
    pub(crate) request: ActiveRequest,
    call: Call,
    decoder: Decoder,
    /// Has its full capacity from the start: a vector that grows leaves unwiped copies behind.
    body: Zeroizing<Vec<u8>>,
    /// Bytes of the body that are enough for a response.
    enough: usize,
}

/// A request whose handler is at work on a thread that may block.
pub(crate) struct RunningCall {
    pub(crate) request: ActiveRequest,
    response: Receiver<NetworkResponse>,
}

impl LocalCall {
    fn new(request: ActiveRequest, call: Call) -> LocalCall {
        let enough = match () {
            () if call.needs_body() => LARGEST_BODY + 1,
            () if expects_continue(&request.head) => 0,
            () => limits::MANAGEMENT_BUFFER_BYTES, // so that the connection can be kept
        };
        let length = match request.length {
            Length::Exact(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            Length::Chunked | Length::UntilClose => usize::MAX,
        };
        LocalCall {
            decoder: Decoder::new(Sender::Client, request.length),
            body: Zeroizing::new(Vec::with_capacity(length.min(enough + READ_BYTES))),
            enough,
            request,
            call,
        }
    }

    /// True if no more of the body is needed for a response.
    fn is_ready(&self) -> bool {
        self.decoder.is_complete() || self.body.len() >= self.enough
    }

    /// Reads what has arrived of the body; `None` when no more of it is needed.
    fn collect(
        &mut self,
        client: &mut ClientStream,
        read_ahead: &mut HeadBuffer,
    ) -> Result<Option<Action>, ExchangeEnd> {
        match client.try_flush() {
            Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(client_failed(&e)),
            _ => {} // the 100 (Continue) is on its way
        }
        let ahead = read_ahead.take_rest();
        self.take(&ahead, read_ahead)?;
        for _ in 0..limits::STEPS_PER_TURN {
            if self.is_ready() {
                return Ok(None);
            }
            let mut arrived = [0; READ_BYTES];
            match client.try_read(&mut arrived) {
                Ok(0) => return Err(client_failed(&ErrorKind::UnexpectedEof.into())),
                Ok(n) => self.take(arrived.get(..n).unwrap_or_default(), read_ahead)?,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Some(Action::Wait)),
                Err(e) => return Err(client_failed(&e)),
            }
        }
        Ok(if self.is_ready() { None } else { Some(Action::Yield) })
    }

    /// Takes what belongs to the body; the rest stays for the next request.
    fn take(&mut self, arrived: &[u8], read_ahead: &mut HeadBuffer) -> Result<(), ExchangeEnd> {
        let taken = self.decoder.decode(arrived, &mut self.body);
        let taken = taken.map_err(|e| ExchangeEnd::Failed(e.status, e.reason.to_owned()))?;
        self.request.record.received = self.body.len() as u64;
        read_ahead.extend(arrived.get(taken..).unwrap_or_default());
        Ok(())
    }
}

impl Gate {
    /// Finds the handler of an admitted request, and calls it when the body is there.
    pub(crate) fn begin_call(
        &self,
        connection: &mut Connection,
        mut request: ActiveRequest,
    ) -> Step {
        let target = &mut request.target;
        let field = |name| {
            let value = request.head.fields.first(name)?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let method = Method::parse(&request.head.method);
        // Costs a system call, and only changes are asked for it.
        let local = (method == Method::Post)
            .then(|| connection.stream.tcp().local_addr().ok())
            .flatten()
            .map(|address| address.ip().to_canonical());
        let asked = Request {
            method,
            path: format!("{}{}", request.route.prefix, target.path),
            query: target.query.take().unwrap_or_default(),
            content_type: field("content-type"),
            accept: field("accept"),
            authority: target.authority.take(),
            peer: Some(request.peer),
            local,
            body: Ok(Zeroizing::default()), // not yet there
        };
        let call = self.management.find(asked, request.tls);
        let call = LocalCall::new(request, call);
        if call.is_ready() {
            return self.on_collected(connection, call);
        }
        if expects_continue(&call.request.head)
            && !connection.stream.try_write(CONTINUE).is_ok_and(|sent| sent == CONTINUE.len())
        {
            let end = ExchangeEnd::Abort("the client does not read".to_owned());
            return self.finish_request(connection, call.request, end);
        }
        let now = Instant::now();
        connection.deadline = now + limits::BODY_PROGRESS;
        connection.bucket = TokenBucket::new(now);
        Step::Next(State::Collecting(Box::new(call)))
    }

    /// Collects the body of a request.
    pub(crate) fn collect(&self, connection: &mut Connection, mut call: Box<LocalCall>) -> Step {
        if connection.hung_up {
            return self.finish_request(connection, call.request, disconnected());
        }
        let before = call.request.record.received;
        match call.collect(&mut connection.stream, &mut connection.head) {
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
        mut response: NetworkResponse,
    ) -> Step {
        let class = request.class();
        let ActiveRequest { head, target, route, close, tls, mut record, permit, .. } = request;
        self.hsts.add_to(&mut response.bytes, tls);
        (record.status, record.sent) = (response.status, response.length);
        self.log_access(&record, &head.method, &target.path, route.service());
        let then = if close { Then::Close } else { Then::NextRequest };
        Step::Next(connection.respond(response.bytes, then, Some((class, permit))))
    }
}

/// True if the client waits for 100 (Continue) before it sends its body.
fn expects_continue(head: &RequestHead) -> bool {
    head.minor > 0 && head.fields.first("expect").is_some()
}

fn disconnected() -> ExchangeEnd {
    ExchangeEnd::Abort("the client disconnected".to_owned())
}

fn client_failed(error: &io::Error) -> ExchangeEnd {
    ExchangeEnd::Abort(format!("the client disconnected: {error}"))
}
