//! A client's connection and its states.

mod candidate;
mod cipher_suites;
pub(crate) mod drive;
pub(crate) mod expiry;
pub(crate) mod handshake_log;
pub(crate) mod proxy_header;
pub(crate) mod proxy_protocol;
mod record_boundaries;
pub(crate) mod run_queue;
pub(crate) mod stream;
pub(crate) mod table;
pub(crate) mod tls;
pub(crate) mod work;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::limits::token_bucket;
use super::request::license_denied;
use super::{limits, now};
use crate::gate::connection::stream::ClientStream;
use crate::gate::connection::work::{HandlerRun, Work, WorkResult};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::limits::permits::{Class, Permit};
use crate::gate::limits::token_bucket::TokenBucket;
use crate::gate::proxy::exchange::Buffers;
use crate::gate::proxy::http::HttpProxy;
use crate::gate::proxy::websocket::Tunnel;
use crate::gate::request::call::{LocalCall, RunningCall};
use crate::gate::request::handler::AdmittedRequest;
use crate::gate::request::response::LocalResponse;
use crate::gate::upstream::stream::UpstreamStream;
use crate::http::forwarded::Client;
use crate::http::head::HeadBuffer;
use crate::metrics::OpenConnection;

/// One client connection. While it waits, it has no thread, and no buffer unless a part of a head has arrived.
pub(crate) struct Connection {
    pub(crate) stream: ClientStream,
    /// The other end, or the source that its PROXY protocol header names.
    pub(crate) peer: SocketAddr,
    /// `peer` is a trusted proxy, which names the client of each request.
    pub(crate) is_proxy: bool,
    /// Who has sent the current or last request.
    pub(crate) client: Client,
    pub(crate) state: State,
    pub(crate) head: HeadBuffer,
    pub(crate) deadline: Instant,
    /// Charged for the current or last exchange, and for partial heads and rejections since.
    pub(crate) bucket: TokenBucket,
    /// The client neither sends nor receives any more.
    pub(crate) hung_up: bool,
    /// When the handshake or the head last made progress.
    pub(crate) last_progress: Instant,
    /// The connection has work to do and waits for its turn.
    pub(crate) is_ready: bool,
    /// Released when the connection has closed; `None` if it came beyond the limit and no other could be evicted.
    pub(crate) _permit: Option<Permit>,
    /// Counts the connection as open.
    pub(crate) _open: OpenConnection,
}

#[derive(Default)]
pub(crate) enum State {
    /// A thread is handling the state, or does the work that the connection waits for.
    #[default]
    Taken,
    /// Waits for the rest of a PROXY protocol header, of which these bytes have arrived.
    ProxyHeader(Vec<u8>),
    Handshake,
    /// Waits for a request, or for the rest of its head.
    Head,
    /// Has the result of work that a blocking thread has done.
    Unblocked(WorkResult),
    /// Has an admitted request and no permit for it yet.
    OverLimit(Box<AdmittedRequest>),
    /// Reads the body of a request to the management API.
    Collecting(Box<LocalCall>),
    /// Waits for the management API, whose handler is at work on a thread that may block.
    Calling(Box<RunningCall>),
    /// Sends the request to the service and the response to the client.
    Proxying(Box<HttpProxy>),
    /// Forwards bytes in both directions.
    Tunnel(Box<Tunnel>),
    /// Sends a local response.
    Responding(PendingResponse),
    /// A WebSocket that was accepted and will be rejected once its client has sent data: client libraries show
    /// frames that follow their own data, and drop earlier ones.
    RejectingWebSocket,
    /// Has sent its last response, and discards what the client sends until this time at the latest.
    LingeringClose(Instant),
}

/// A local response that is not completely sent.
pub(crate) struct PendingResponse {
    buffer: WriteBuffer,
    pub(crate) then: Then,
    since: Instant,
    /// Released when the response is sent.
    permit: Option<(Class, Permit)>,
}

/// What follows a local response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    NextRequest,
    Close,
    /// See [`State::RejectingWebSocket`].
    RejectWebSocket,
}

/// In which order connections with work to do have their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// A little work for an established connection; done at once.
    Interactive,
    /// A handshake, which costs as much as hundreds of requests.
    Handshake,
    /// A transfer that moves all it can, or many small pieces.
    Bulk,
}

/// What follows when a state has been handled.
#[must_use]
pub(crate) enum Step {
    /// Handle this state at once.
    Next(State),
    /// Leave the connection in this state until the event loop has carried out the action.
    Pause(State, Action),
    /// Handle the result of this work when a blocking thread has done it.
    Block(Work),
    Close,
}

/// What the event loop does with a connection next.
#[must_use]
pub(crate) enum Action {
    /// Wait for an event on one of its sockets.
    Wait,
    /// Continue after others have had their turn.
    Yield,
    /// Continue when a thread that may block has done this.
    Block(Work),
    /// Call this handler on a thread that may block; the connection waits for its response as for an event.
    Call(Box<HandlerRun>),
    /// Evict slow clients, because all permits of this class are taken.
    OverLimit(Class),
    /// Close the connection.
    Close,
}

impl Connection {
    /// Enters the state that a step leads to; `None` if it is to be handled at once.
    pub(crate) fn apply(&mut self, step: Step) -> Option<Action> {
        let (state, action) = match step {
            Step::Next(state) => (state, None),
            Step::Pause(state, action) => (state, Some(action)),
            Step::Block(work) => (State::Taken, Some(Action::Block(work))),
            Step::Close => (State::Taken, Some(Action::Close)),
        };
        self.state = state;
        action
    }

    // Each of these begins a state, which the caller enters.

    /// Waits for the next request.
    pub(crate) fn expect_request(&mut self) -> State {
        self.deadline =
            Instant::now() + if self.head.is_empty() { limits::IDLE } else { limits::HEAD };
        State::Head
    }

    /// Sends the response `bytes`, which hold `permit` until they are sent.
    pub(crate) fn respond(
        &mut self,
        bytes: Vec<u8>,
        then: Then,
        permit: Option<(Class, Permit)>,
    ) -> State {
        let (buffer, since) = (WriteBuffer::of(bytes), Instant::now());
        self.deadline = since + limits::BODY_PROGRESS;
        State::Responding(PendingResponse { buffer, then, since, permit })
    }

    /// Waits for the first data of a WebSocket that will be rejected.
    pub(crate) fn expect_first_data(&mut self) -> State {
        self.deadline = Instant::now() + limits::FIRST_DATA;
        State::RejectingWebSocket
    }

    /// Closes our side and discards what the client still sends.
    pub(crate) fn linger(&mut self) -> State {
        self.stream.close_write();
        self.deadline = Instant::now() + limits::LINGERING_TIMEOUT;
        let _ = self.head.take_rest();
        State::LingeringClose(Instant::now() + limits::LINGERING_TIME)
    }

    /// True while a request is in progress.
    pub(crate) fn has_request(&self) -> bool {
        match &self.state {
            State::Taken
            | State::Unblocked(_)
            | State::OverLimit(_)
            | State::Collecting(_)
            | State::Calling(_)
            | State::Proxying(_)
            | State::Tunnel(_) => true,
            State::Responding(response) => response.permit.is_some(),
            _ => false,
        }
    }

    /// True if bytes wait for the client to accept them.
    pub(crate) fn waits_to_write(&self) -> bool {
        match &self.state {
            State::Proxying(proxy) => proxy.waits_to_write_to_client(),
            State::Tunnel(tunnel) => tunnel.waits_to_write_to_client(),
            State::Responding(_) => true,
            _ => self.stream.wants_write(),
        }
    }

    /// How soon the connection has its turn.
    pub(crate) fn priority(&self, now: Instant) -> Priority {
        match self.state {
            State::Handshake => Priority::Handshake,
            State::Collecting(_) | State::Proxying(_) | State::Tunnel(_)
                if self.bucket.is_exhausted(now) =>
            {
                Priority::Bulk
            }
            State::Head if self.bucket.is_exhausted(now) => Priority::Bulk,
            _ => Priority::Interactive,
        }
    }

    /// Charges the bucket for a piece of an incomplete head.
    pub(crate) fn on_partial_head(&mut self) {
        if !self.head.is_empty() {
            self.last_progress = Instant::now();
            self.bucket.spend(token_bucket::PARTIAL_HEAD_COST, self.last_progress);
        }
    }

    /// Lowers the priority for one second, because a request was rejected.
    pub(crate) fn penalize(&mut self) {
        self.bucket.spend(token_bucket::REJECTION_COST, Instant::now());
    }

    /// Charges the bucket for `bytes` of an exchange, and sets the deadline to `timeout` from now.
    pub(crate) fn record_progress(&mut self, bytes: u64, timeout: Duration) {
        let now = Instant::now();
        self.bucket.spend(bytes, now);
        self.deadline = now + timeout;
    }

    /// The upstream connection, if there is one, and whether bytes wait for the service to accept them.
    pub(crate) fn upstream(&mut self) -> Option<(&mut UpstreamStream, bool)> {
        match &mut self.state {
            State::Proxying(proxy) => Some(proxy.upstream()),
            State::Tunnel(tunnel) => Some(tunnel.upstream()),
            _ => None,
        }
    }

    /// Reads a part of a head; false if nothing has arrived.
    pub(crate) fn read_head(&mut self, buffers: &mut Buffers) -> io::Result<bool> {
        let arrived = buffers.raw();
        match self.stream.try_read(arrived) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                if self.head.is_empty() {
                    self.deadline = Instant::now() + limits::HEAD;
                }
                self.head.extend(arrived.get(..n).unwrap_or_default());
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Sends what the client accepts of `response`; false while there is more.
    pub(crate) fn send(&mut self, response: &mut PendingResponse) -> io::Result<bool> {
        loop {
            let moved = match response.buffer.is_empty() {
                false => response.buffer.send(&mut self.stream),
                true => self.stream.try_flush().map(|()| false),
            };
            match moved {
                Ok(false) if response.buffer.is_empty() => return Ok(true),
                Ok(true) => self.deadline = Instant::now() + limits::BODY_PROGRESS,
                Ok(false) => return Ok(false),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    /// Rejects the WebSocket if its client has sent data; false while it has not.
    pub(crate) fn reject_websocket(&mut self) -> io::Result<bool> {
        if self.head.is_empty() {
            match self.stream.try_read(&mut [0; 4 << 10]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
                Ok(_) => {}
            }
        }
        self.stream.try_write(&license_denied::rejection_frames())?;
        Ok(true)
    }

    /// Reads and discards, so that the close does not reset a connection with a response on its way.
    pub(crate) fn drain(&mut self, end: Instant) -> Action {
        let mut unread = [0; 16 << 10];
        let mut left = limits::LINGERING_BYTES_PER_TURN;
        while left > 0 {
            match io::Read::read(&mut self.stream.tcp(), &mut unread) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Ok(n) if n > 0 => left = left.saturating_sub(n),
                _ => return Action::Close,
            }
        }
        if left < limits::LINGERING_BYTES_PER_TURN {
            self.deadline = end.min(Instant::now() + limits::LINGERING_TIMEOUT);
        }
        match left {
            _ if Instant::now() >= end => Action::Close,
            0 => Action::Yield,
            _ => Action::Wait,
        }
    }

    /// Sends what an idle client in `state` is told when its time is up.
    pub(crate) fn on_idle_timeout(&mut self, state: &State) {
        match state {
            State::RejectingWebSocket => {
                let _ = self.stream.try_write(&license_denied::rejection_frames());
                self.stream.close_write();
            }
            State::Head => {
                if !self.head.is_empty() {
                    let late =
                        LocalResponse::error(None, 408, "the request head took too long to arrive");
                    let bytes = late.to_bytes(self.head.is_head_request(), Some("close"), &now());
                    let _ = self.stream.try_write(&bytes);
                }
                self.stream.close_write();
            }
            _ => {}
        }
    }
}
