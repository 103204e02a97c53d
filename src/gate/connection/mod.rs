//! A client's connection between two events.

pub(crate) mod drive;
pub(crate) mod expiry;
pub(crate) mod handshake_log;
pub(crate) mod run_queue;
pub(crate) mod stream;
pub(crate) mod table;
pub(crate) mod tls;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::limits::token_bucket;
use super::request::license_denied;
use super::{limits, now};
use crate::gate::connection::stream::ClientStream;
use crate::gate::io::duplex::Duplex as _;
use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::limits::permits::{Kind, Permit};
use crate::gate::limits::token_bucket::TokenBucket;
use crate::gate::proxy::exchange::{Buffers, Exchange};
use crate::gate::proxy::http::Relay;
use crate::gate::proxy::websocket::Tunnel;
use crate::gate::request::response::Reply;
use crate::http::head::{HeadBuffer, RequestHead};

/// Waits without a thread, and without a buffer unless a head has begun to arrive.
pub(crate) struct Connection {
    pub(crate) stream: ClientStream,
    pub(crate) peer: SocketAddr,
    pub(crate) state: State,
    pub(crate) head: HeadBuffer,
    pub(crate) deadline: Instant,
    /// Of the exchange it is in, or was in last, and of heads and refusals since.
    pub(crate) allowance: TokenBucket,
    /// The client has hung up altogether.
    pub(crate) gone: bool,
    /// When it last went on with a handshake or a head.
    pub(crate) heard: Instant,
    /// It has said something, and others had to be heard first.
    pub(crate) is_ready: bool,
}

pub(crate) enum State {
    Handshake,
    /// Waits for a request, or for the rest of its head.
    Head,
    /// Has asked for something that is to be judged.
    Request(RequestHead),
    /// Is let in, to a service that is to be reached.
    Connecting(Box<Exchange>),
    /// Waits for its service, or for more of itself.
    Proxying(Box<Relay>),
    /// Both sides say what they like.
    Tunnel(Box<Tunnel>),
    /// Has to take an answer of our own.
    Responding(Answered),
    /// A WebSocket that is accepted and will be refused, once its client has said something and so
    /// listens: client libraries show what comes as an answer, and not what comes before.
    RejectingWebSocket,
    /// Has had its last answer; until then more may come and go unread.
    LingeringClose(Instant),
}

/// An answer of our own on its way, to its last byte.
pub(crate) struct Answered {
    pub(crate) outbox: WriteBuffer,
    pub(crate) then: Then,
    since: Instant,
    /// Given back when it is out.
    place: Option<(Kind, Permit)>,
}

/// What follows on an answer of our own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    NextRequest,
    HangUp,
    /// See [`State::RejectingWebSocket`].
    FirstWords,
}

/// Who goes first, where several could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// A little work for somebody who is known.
    First,
    /// A handshake, which costs as much as hundreds of requests.
    Stranger,
    /// Who moves all it can, or comes in many small pieces.
    Bulk,
}

/// Since when somebody dawdles in a place. The least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SlowClient {
    /// Its client says no more and has had no answer: it may have gone, or listen still (RFC 9112 section
    /// 9.6 has half-closed connections).
    Gone(Instant),
    Here(Instant),
}

/// What becomes of a connection after an event.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing can be done before one of its sockets does something.
    Wait,
    /// There is more to do, once others have had their turn.
    Yield,
    /// What is next takes waiting, which whoever watches a port must not.
    Block,
    /// All places for what it asks are taken; who dawdles in one may have to give it up.
    OverLimit(Kind),
    /// Close it.
    Close,
}

impl Connection {
    pub(crate) fn expect_request(&mut self) {
        self.state = State::Head;
        self.deadline =
            Instant::now() + if self.head.is_empty() { limits::IDLE } else { limits::HEAD };
    }

    /// True while somebody works for this client.
    pub(crate) fn is_served(&self) -> bool {
        match &self.state {
            State::Request(_) | State::Connecting(_) | State::Proxying(_) | State::Tunnel(_) => {
                true
            }
            State::Responding(answered) => answered.place.is_some(),
            _ => false,
        }
    }

    /// The service that is to be found for it, by its number; `None` if its password is to be hashed.
    pub(crate) fn seeks(&self) -> Option<usize> {
        match &self.state {
            State::Connecting(exchange) => Some(exchange.route.service.number),
            _ => None,
        }
    }

    /// Since when its client keeps us waiting, if nobody works for it.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let patience = match &self.state {
            _ if self.is_served() => return None,
            State::Handshake => limits::HANDSHAKE,
            State::Head if self.head.is_empty() => limits::IDLE,
            State::Head => limits::HEAD,
            State::Responding(_) => limits::BODY_PROGRESS,
            State::RejectingWebSocket => limits::FIRST_WORDS,
            _ => limits::LINGER,
        };
        Some(self.heard.max(self.deadline.checked_sub(patience)?))
    }

    /// What its place is and how soon it has to give it up, if nothing but its client keeps it there, nobody
    /// in it has said anything for long, or its client has gone as far as can be told.
    pub(crate) fn dawdles(&self) -> Option<(Kind, SlowClient)> {
        match &self.state {
            State::Responding(answered) => {
                let (kind, _) = answered.place.as_ref()?;
                Some((*kind, SlowClient::Here(answered.since)))
            }
            State::Proxying(relay) => Some((relay.kind(), relay.dawdles(self.stream.is_ending())?)),
            State::Tunnel(tunnel) => {
                let moved = self.deadline.checked_sub(limits::TUNNEL_IDLE)?;
                let silent = moved.elapsed() >= limits::TUNNEL_SILENT;
                silent.then_some((tunnel.kind(), SlowClient::Here(moved)))
            }
            _ => None,
        }
    }

    /// Bytes of ours wait for the client to take them.
    pub(crate) fn waits_to_write(&self) -> bool {
        match &self.state {
            State::Proxying(relay) => relay.waits_to_write_to_client(),
            State::Tunnel(tunnel) => tunnel.waits_to_write_to_client(),
            State::Responding(_) => true,
            _ => self.stream.wants_write(),
        }
    }

    /// How soon it has its turn.
    pub(crate) fn rank(&self, now: Instant) -> Priority {
        match self.state {
            State::Handshake => Priority::Stranger,
            State::Proxying(_) | State::Tunnel(_) if self.allowance.is_exhausted(now) => {
                Priority::Bulk
            }
            State::Head if self.allowance.is_exhausted(now) => Priority::Bulk,
            _ => Priority::First,
        }
    }

    /// A piece of a head has come, and the head is still not whole.
    pub(crate) fn note_piece(&mut self) {
        if !self.head.is_empty() {
            self.heard = Instant::now();
            self.allowance.spend(token_bucket::HEAD_PIECE, self.heard);
        }
    }

    /// It has been refused something, and lets others go first for a second.
    pub(crate) fn penalize(&mut self) {
        self.allowance.spend(token_bucket::REFUSAL, Instant::now());
    }

    /// `bytes` of an exchange have moved; the next may take as long as `patience`.
    pub(crate) fn record_progress(&mut self, bytes: u64, patience: Duration) {
        let now = Instant::now();
        self.allowance.spend(bytes, now);
        self.deadline = now + patience;
    }

    /// Has `epoll` tell of the service, if there is one, under `token`.
    pub(crate) fn report_service(&mut self, epoll: &Arc<OwnedFd>, token: u64) -> io::Result<()> {
        match &mut self.state {
            State::Proxying(relay) => relay.report_service(epoll, token),
            State::Tunnel(tunnel) => tunnel.report_service(epoll, token),
            _ => Ok(()),
        }
    }

    /// The service can be read; `ending` if it will say no more.
    pub(crate) fn note_service(&mut self, ending: bool) {
        match &mut self.state {
            State::Proxying(relay) => relay.note_service(ending),
            State::Tunnel(tunnel) => tunnel.note_service(ending),
            _ => {}
        }
    }

    /// Takes what has arrived of a head; false if that is nothing.
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

    /// Goes on to send `bytes`, and holds `place` until they are out.
    pub(crate) fn answer(&mut self, bytes: Vec<u8>, then: Then, place: Option<(Kind, Permit)>) {
        let (outbox, since) = (WriteBuffer::of(bytes), Instant::now());
        self.deadline = since + limits::BODY_PROGRESS;
        self.state = State::Responding(Answered { outbox, then, since, place });
    }

    /// Sends what the client takes of `answered`; false while there is more.
    pub(crate) fn send(&mut self, answered: &mut Answered) -> io::Result<bool> {
        loop {
            let moved = match answered.outbox.is_empty() {
                false => answered.outbox.send(&mut self.stream),
                true => self.stream.try_flush().map(|()| false),
            };
            match moved {
                Ok(false) if answered.outbox.is_empty() => return Ok(true),
                Ok(true) => self.deadline = Instant::now() + limits::BODY_PROGRESS,
                Ok(false) => return Ok(false),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    /// A WebSocket is about to be refused.
    pub(crate) fn expect_first_words(&mut self) {
        self.state = State::RejectingWebSocket;
        self.deadline = Instant::now() + limits::FIRST_WORDS;
    }

    /// Refuses the WebSocket, if its client has said something; false while it has not.
    pub(crate) fn refuse_stream(&mut self) -> io::Result<bool> {
        if self.head.is_empty() {
            match self.stream.try_read(&mut [0; 4 << 10]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
                Ok(_) => {}
            }
        }
        self.stream.try_write(&license_denied::last_words())?;
        self.hang_up();
        Ok(true)
    }

    /// Says that nothing more will come from us, and goes on to hear the client out.
    pub(crate) fn hang_up(&mut self) {
        self.stream.close_write();
        self.state = State::LingeringClose(Instant::now() + limits::LINGER_SENDING);
        self.deadline = Instant::now() + limits::LINGER;
        let _ = self.head.take_rest();
    }

    /// Reads and forgets, so that the close does not reset a connection with an answer on its way.
    pub(crate) fn drain(&mut self, end: Instant) -> Action {
        let mut unread = [0; 16 << 10];
        let mut left = limits::LINGER_BYTES;
        while left > 0 {
            match io::Read::read(&mut self.stream.tcp(), &mut unread) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Ok(n) if n > 0 => left = left.saturating_sub(n),
                _ => return Action::Close,
            }
        }
        if left < limits::LINGER_BYTES {
            self.deadline = end.min(Instant::now() + limits::LINGER);
        }
        match left {
            _ if Instant::now() >= end => Action::Close,
            0 => Action::Yield,
            _ => Action::Wait,
        }
    }

    /// The time of a client for which nobody works is up.
    pub(crate) fn dismiss(&mut self) {
        match self.state {
            State::RejectingWebSocket => {
                let _ = self.stream.try_write(&license_denied::last_words());
                self.stream.close_write();
            }
            State::Head => {
                if !self.head.is_empty() {
                    let late = Reply::error(None, 408, "the request head took too long to arrive");
                    let bytes = late.to_bytes(self.head.asks_for_head(), Some("close"), &now());
                    let _ = self.stream.try_write(&bytes);
                }
                self.stream.close_write();
            }
            _ => {}
        }
    }
}
