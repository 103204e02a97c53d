//! `Gate::advance`: the life of a connection on one page.

use std::io::ErrorKind;
use std::time::Instant;

use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::connection::{Action, Connection, State, handshake_log};
use crate::gate::limits::token_bucket::TokenBucket;
use crate::gate::limits::{self, token_bucket};
use crate::gate::proxy::exchange::{Buffers, Exchange, ExchangeEnd, Progress};
use crate::gate::proxy::http::{HttpProxy, Start};
use crate::gate::proxy::websocket::Tunnel;

impl Gate {
    /// Drives a connection from state to state: a handshake, then requests and their responses. Returns when it has to
    /// wait; blocks itself only with `may_wait`, to hash a password or to connect to a service.
    pub(crate) fn advance(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
        may_wait: bool,
    ) -> Action {
        let mut responses = 0;
        loop {
            if responses == limits::RESPONSES_PER_TURN {
                return Action::Yield;
            }
            // Received out, for most of what happens leads to another phase.
            let next = match std::mem::replace(&mut connection.state, State::Head) {
                State::Handshake => self.handshake(connection, listen),
                State::Head => self.read_request(connection, listen, buffers),
                State::Request(head) => self.serve(connection, listen, head, may_wait),
                State::Connecting(exchange) => self.connect(connection, exchange, may_wait),
                State::Proxying(proxy) => self.proxy(connection, proxy, buffers),
                State::Tunnel(tunnel) => self.tunnel(connection, tunnel, buffers),
                State::Responding(response) => {
                    responses += 1;
                    self.send_response(connection, response)
                }
                State::RejectingWebSocket => {
                    connection.state = State::RejectingWebSocket;
                    match connection.reject_websocket() {
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

    // Each of these handles one state and sets the next one; `None` means: continue with it.

    fn handshake(&self, connection: &mut Connection, listen: &Listen) -> Option<Action> {
        match connection.stream.try_handshake() {
            Ok(()) => connection.expect_request(),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                connection.state = State::Handshake;
                connection.last_progress = Instant::now();
                return Some(Action::Wait);
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                self.log_failed_handshake(connection, listen, "the client speaks plain HTTP");
                self.respond_plain_http(connection, listen);
            }
            Err(e) => {
                self.log_failed_handshake(connection, listen, &handshake_log::reason(&e));
                return Some(Action::Close);
            }
        }
        None
    }

    fn read_request(
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
                    connection.on_partial_head();
                    return Some(Action::Wait);
                }
                Err(e) => {
                    if e.kind() == ErrorKind::UnexpectedEof {
                        connection.stream.close_write(); // the client may wait for our close
                    }
                    return Some(Action::Close);
                }
            },
            Err(error) => self.reject_malformed(connection, listen, error),
        }
        None
    }

    fn connect(
        &self,
        connection: &mut Connection,
        exchange: Box<Exchange>,
        may_wait: bool,
    ) -> Option<Action> {
        match HttpProxy::start(exchange, may_wait) {
            Start::Started(proxy) => {
                let now = Instant::now();
                connection.deadline = now + proxy.timeout();
                connection.bucket = TokenBucket::new(now);
                connection.state = State::Proxying(proxy);
                None
            }
            Start::WouldBlock(exchange) => {
                connection.state = State::Connecting(exchange);
                Some(Action::Block)
            }
            Start::Failed(exchange, end) => self.finish_exchange(connection, *exchange, end),
        }
    }

    fn proxy(
        &self,
        connection: &mut Connection,
        mut proxy: Box<HttpProxy>,
        buffers: &mut Buffers,
    ) -> Option<Action> {
        if connection.hung_up {
            let end = ExchangeEnd::Abort("the client disconnected".to_owned());
            return self.finish_exchange(connection, *proxy.into_exchange(), end);
        }
        let before = proxy.bytes_moved();
        let next = match proxy.advance(&mut connection.downstream(buffers)) {
            Progress::Done(end) if proxy.may_retry(&end) => {
                let mut exchange = proxy.into_exchange();
                exchange.is_retry = true;
                connection.state = State::Connecting(exchange);
                return None;
            }
            Progress::Done(end) => {
                return self.finish_exchange(connection, *proxy.into_exchange(), end);
            }
            Progress::Pending(false) => Action::Wait,
            Progress::Pending(true) => {
                let moved = (proxy.bytes_moved() - before).max(token_bucket::MIN_BODY_COST);
                connection.record_progress(moved, proxy.timeout());
                Action::Wait
            }
            Progress::Yield => {
                connection.record_progress(proxy.bytes_moved() - before, proxy.timeout());
                Action::Yield
            }
            Progress::Upgraded => {
                let arrived = connection.head.take_rest();
                connection.record_progress(0, limits::TUNNEL_IDLE);
                connection.state = State::Tunnel(Box::new(proxy.into_tunnel(arrived)));
                return None;
            }
        };
        connection.state = State::Proxying(proxy);
        Some(next)
    }

    fn tunnel(
        &self,
        connection: &mut Connection,
        mut tunnel: Box<Tunnel>,
        buffers: &mut Buffers,
    ) -> Option<Action> {
        if tunnel.is_aborted(connection.hung_up) {
            let end = ExchangeEnd::Abort("the client disconnected".to_owned());
            return self.finish_exchange(connection, *tunnel.into_exchange(), end);
        }
        let before = tunnel.bytes_moved();
        let next = match tunnel.advance(&mut connection.downstream(buffers)) {
            Progress::Done(end) => {
                return self.finish_exchange(connection, *tunnel.into_exchange(), end);
            }
            Progress::Pending(false) => Action::Wait,
            progress => {
                connection.record_progress(tunnel.bytes_moved() - before, limits::TUNNEL_IDLE);
                if matches!(progress, Progress::Yield) { Action::Yield } else { Action::Wait }
            }
        };
        connection.state = State::Tunnel(tunnel);
        Some(next)
    }
}
