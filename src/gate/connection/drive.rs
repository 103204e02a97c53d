//! A connection's life on a page.

use std::io::ErrorKind;
use std::time::Instant;

use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::connection::{Action, Connection, State, handshake_log};
use crate::gate::limits::token_bucket::TokenBucket;
use crate::gate::limits::{self, token_bucket};
use crate::gate::proxy::exchange::{self, Buffers, Downstream, Exchange, Start};
use crate::gate::proxy::http::{Progress, Relay};
use crate::gate::proxy::websocket::Tunnel;

impl Gate {
    /// One connection's life: handshake, then request after request, each judged and answered, until
    /// one side has had enough. Returns whenever nothing can be done before somebody else does
    /// something; only with `may_wait` does it wait itself, for a password to be hashed or a service to
    /// be found.
    pub(crate) fn advance(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
        may_wait: bool,
    ) -> Action {
        let mut answers = 0;
        loop {
            if answers == limits::ANSWERS_AT_ONCE {
                return Action::Yield;
            }
            // Taken out, for most of what happens leads to another phase.
            let next = match std::mem::replace(&mut connection.state, State::Head) {
                State::Handshake => self.shake_hands(connection, listen),
                State::Head => self.hear_request(connection, listen, buffers),
                State::Request(head) => self.serve(connection, listen, head, may_wait),
                State::Connecting(exchange) => self.start(connection, exchange, may_wait),
                State::Proxying(relay) => self.relay(connection, relay, buffers),
                State::Tunnel(tunnel) => self.tunnel(connection, tunnel, buffers),
                State::Responding(answered) => {
                    answers += 1;
                    self.deliver(connection, answered)
                }
                State::RejectingWebSocket => {
                    connection.state = State::RejectingWebSocket;
                    match connection.refuse_stream() {
                        Ok(true) => None,
                        Ok(false) => Some(Action::Wait),
                        Err(_) => Some(Action::Close),
                    }
                }
                State::LingeringClose(end) => {
                    connection.state = State::LingeringClose(end);
                    Some(connection.drain(end))
                }
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    // Each of these does what a phase is for, and sets the next one; `None` to go on with it.

    fn shake_hands(&self, connection: &mut Connection, listen: &Listen) -> Option<Action> {
        match connection.stream.try_handshake() {
            Ok(()) => connection.expect_request(),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                connection.state = State::Handshake;
                connection.heard = Instant::now();
                return Some(Action::Wait);
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                self.log_failed_handshake(connection, listen, "the client speaks plain HTTP");
                self.answer_plain_http(connection, listen);
            }
            Err(e) => {
                self.log_failed_handshake(connection, listen, &handshake_log::why(&e));
                return Some(Action::Close);
            }
        }
        None
    }

    fn hear_request(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
    ) -> Option<Action> {
        match connection.head.request() {
            Ok(Some(head)) => connection.state = State::Request(head),
            Ok(None) => match connection.read_head(buffers) {
                Ok(true) => {}
                Ok(false) => {
                    connection.note_piece();
                    return Some(Action::Wait);
                }
                Err(e) => {
                    if e.kind() == ErrorKind::UnexpectedEof {
                        connection.stream.close_write(); // who has said it may wait for ours
                    }
                    return Some(Action::Close);
                }
            },
            Err(malformed) => self.refuse_malformed(connection, listen, malformed),
        }
        None
    }

    fn start(
        &self,
        connection: &mut Connection,
        exchange: Box<Exchange>,
        may_wait: bool,
    ) -> Option<Action> {
        match exchange.start(may_wait) {
            Start::Relay(relay) => {
                let now = Instant::now();
                connection.deadline = now + relay.patience();
                connection.allowance = TokenBucket::new(now);
                connection.state = State::Proxying(relay);
                None
            }
            Start::Later(exchange) => {
                connection.state = State::Connecting(exchange);
                Some(Action::Block)
            }
            Start::Failed(exchange, ending) => self.finish_exchange(connection, *exchange, ending),
        }
    }

    fn relay(
        &self,
        connection: &mut Connection,
        mut relay: Box<Relay>,
        buffers: &mut Buffers,
    ) -> Option<Action> {
        if connection.gone {
            let ending = exchange::ExchangeEnd::Cut("the client went away".to_owned());
            return self.finish_exchange(connection, *relay.into_exchange(), ending);
        }
        let before = relay.passed();
        let next = match relay.advance(&mut Downstream::of(connection, buffers)) {
            Progress::Ended(ending) if relay.deserves_another(&ending) => {
                let mut exchange = relay.into_exchange();
                exchange.needs_fresh = true;
                connection.state = State::Connecting(exchange);
                return None;
            }
            Progress::Ended(ending) => {
                return self.finish_exchange(connection, *relay.into_exchange(), ending);
            }
            Progress::Waits(false) => Action::Wait,
            Progress::Waits(true) => {
                let moved = (relay.passed() - before).max(token_bucket::BODY_PIECE);
                connection.record_progress(moved, relay.patience());
                Action::Wait
            }
            Progress::Pauses => {
                connection.record_progress(relay.passed() - before, relay.patience());
                Action::Yield
            }
            Progress::Tunnel => {
                let arrived = connection.head.take_rest();
                connection.record_progress(0, limits::TUNNEL_IDLE);
                connection.state = State::Tunnel(Box::new(relay.into_tunnel(arrived)));
                return None;
            }
        };
        connection.state = State::Proxying(relay);
        Some(next)
    }

    fn tunnel(
        &self,
        connection: &mut Connection,
        mut tunnel: Box<Tunnel>,
        buffers: &mut Buffers,
    ) -> Option<Action> {
        if tunnel.is_cut_off(connection.gone) {
            let ending = exchange::ExchangeEnd::Cut("the client went away".to_owned());
            return self.finish_exchange(connection, *tunnel.into_exchange(), ending);
        }
        let before = tunnel.passed();
        let next = match tunnel.advance(&mut Downstream::of(connection, buffers)) {
            Progress::Ended(ending) => {
                return self.finish_exchange(connection, *tunnel.into_exchange(), ending);
            }
            Progress::Waits(false) => Action::Wait,
            progress => {
                connection.record_progress(tunnel.passed() - before, limits::TUNNEL_IDLE);
                if matches!(progress, Progress::Pauses) { Action::Yield } else { Action::Wait }
            }
        };
        connection.state = State::Tunnel(tunnel);
        Some(next)
    }
}
