//! A connection's life on a page.

use std::io::ErrorKind;
use std::time::Instant;

use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::connection::{Connection, Next, Phase, handshake_log};
use crate::gate::limits::token_bucket::Allowance;
use crate::gate::limits::{self, token_bucket};
use crate::gate::proxy::exchange::{self, Buffers, Exchange, Side, Start};
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
    ) -> Next {
        let mut answers = 0;
        loop {
            if answers == limits::ANSWERS_AT_ONCE {
                return Next::Pause;
            }
            // Taken out, for most of what happens leads to another phase.
            let next = match std::mem::replace(&mut connection.phase, Phase::Head) {
                Phase::Handshake => self.shake_hands(connection, listen),
                Phase::Head => self.hear_request(connection, listen, buffers),
                Phase::Asked(head) => self.serve(connection, listen, head, may_wait),
                Phase::Admitted(exchange) => self.start(connection, exchange, may_wait),
                Phase::Relay(relay) => self.relay(connection, relay, buffers),
                Phase::Tunnel(tunnel) => self.tunnel(connection, tunnel, buffers),
                Phase::Answered(answered) => {
                    answers += 1;
                    self.deliver(connection, answered)
                }
                Phase::Refused => {
                    connection.phase = Phase::Refused;
                    match connection.refuse_stream() {
                        Ok(true) => None,
                        Ok(false) => Some(Next::Park),
                        Err(_) => Some(Next::Gone),
                    }
                }
                Phase::Linger(end) => {
                    connection.phase = Phase::Linger(end);
                    Some(connection.hear_out(end))
                }
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    // Each of these does what a phase is for, and sets the next one; `None` to go on with it.

    fn shake_hands(&self, connection: &mut Connection, listen: &Listen) -> Option<Next> {
        match connection.stream.try_handshake() {
            Ok(()) => connection.expect_request(),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                connection.phase = Phase::Handshake;
                connection.heard = Instant::now();
                return Some(Next::Park);
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                self.note_stranger(connection, listen, "the client speaks plain HTTP");
                self.answer_plain_http(connection, listen);
            }
            Err(e) => {
                self.note_stranger(connection, listen, &handshake_log::why(&e));
                return Some(Next::Gone);
            }
        }
        None
    }

    fn hear_request(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
    ) -> Option<Next> {
        match connection.head.request() {
            Ok(Some(head)) => connection.phase = Phase::Asked(head),
            Ok(None) => match connection.read_head(buffers) {
                Ok(true) => {}
                Ok(false) => {
                    connection.note_piece();
                    return Some(Next::Park);
                }
                Err(e) => {
                    if e.kind() == ErrorKind::UnexpectedEof {
                        connection.stream.say_goodbye(); // who has said it may wait for ours
                    }
                    return Some(Next::Gone);
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
    ) -> Option<Next> {
        match exchange.start(may_wait) {
            Start::Relay(relay) => {
                let now = Instant::now();
                connection.deadline = now + relay.patience();
                connection.allowance = Allowance::new(now);
                connection.phase = Phase::Relay(relay);
                None
            }
            Start::Later(exchange) => {
                connection.phase = Phase::Admitted(exchange);
                Some(Next::Detach)
            }
            Start::Failed(exchange, ending) => self.settle(connection, *exchange, ending),
        }
    }

    fn relay(
        &self,
        connection: &mut Connection,
        mut relay: Box<Relay>,
        buffers: &mut Buffers,
    ) -> Option<Next> {
        if connection.gone {
            let ending = exchange::Ending::Cut("the client went away".to_owned());
            return self.settle(connection, *relay.into_exchange(), ending);
        }
        let before = relay.passed();
        let next = match relay.advance(&mut Side::of(connection, buffers)) {
            Progress::Ended(ending) if relay.deserves_another(&ending) => {
                let mut exchange = relay.into_exchange();
                exchange.needs_fresh = true;
                connection.phase = Phase::Admitted(exchange);
                return None;
            }
            Progress::Ended(ending) => {
                return self.settle(connection, *relay.into_exchange(), ending);
            }
            Progress::Waits(false) => Next::Park,
            Progress::Waits(true) => {
                let moved = (relay.passed() - before).max(token_bucket::BODY_PIECE);
                connection.go_on(moved, relay.patience());
                Next::Park
            }
            Progress::Pauses => {
                connection.go_on(relay.passed() - before, relay.patience());
                Next::Pause
            }
            Progress::Tunnel => {
                let arrived = connection.head.take_rest();
                connection.go_on(0, limits::TUNNEL_IDLE);
                connection.phase = Phase::Tunnel(Box::new(relay.into_tunnel(arrived)));
                return None;
            }
        };
        connection.phase = Phase::Relay(relay);
        Some(next)
    }

    fn tunnel(
        &self,
        connection: &mut Connection,
        mut tunnel: Box<Tunnel>,
        buffers: &mut Buffers,
    ) -> Option<Next> {
        if tunnel.is_cut_off(connection.gone) {
            let ending = exchange::Ending::Cut("the client went away".to_owned());
            return self.settle(connection, *tunnel.into_exchange(), ending);
        }
        let before = tunnel.passed();
        let next = match tunnel.advance(&mut Side::of(connection, buffers)) {
            Progress::Ended(ending) => {
                return self.settle(connection, *tunnel.into_exchange(), ending);
            }
            Progress::Waits(false) => Next::Park,
            progress => {
                connection.go_on(tunnel.passed() - before, limits::TUNNEL_IDLE);
                if matches!(progress, Progress::Pauses) { Next::Pause } else { Next::Park }
            }
        };
        connection.phase = Phase::Tunnel(tunnel);
        Some(next)
    }
}
