//! `Gate::advance`: the life of a connection on one page.

use std::io::ErrorKind;
use std::time::Instant;

use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::connection::tls::ACME_TLS;
use crate::gate::connection::work::Work;
use crate::gate::connection::{Action, Connection, State, Step, handshake_log};
use crate::gate::limits::token_bucket::TokenBucket;
use crate::gate::limits::{self, token_bucket};
use crate::gate::proxy::exchange::{Buffers, Downstream, ExchangeEnd, Progress};
use crate::gate::proxy::http::HttpProxy;
use crate::gate::proxy::start::Start;
use crate::gate::proxy::websocket::Tunnel;
use crate::metrics::HandshakeFailure;

impl Gate {
    /// Drives a connection from state to state: a handshake, then requests and their responses. Never blocks; returns
    /// what the event loop has to do before it goes on.
    pub(crate) fn advance(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
    ) -> Action {
        let mut responses = 0;
        loop {
            if responses == limits::RESPONSES_PER_TURN {
                return Action::Yield;
            }
            let step = match std::mem::take(&mut connection.state) {
                State::Taken => Step::Close, // never: another thread has the connection
                State::ProxyHeader(arrived) => self.read_proxy_header(connection, listen, arrived),
                State::Handshake => self.handshake(connection, listen),
                State::Head => self.read_request(connection, listen, buffers),
                State::Unblocked(result) => self.on_unblocked(connection, listen, result),
                State::OverLimit(admitted) => self.forward(connection, listen, *admitted),
                State::Collecting(call) => self.collect(connection, call),
                State::Calling(call) => self.await_response(connection, call),
                State::Proxying(proxy) => self.proxy(connection, proxy, buffers),
                State::Tunnel(tunnel) => self.tunnel(connection, tunnel, buffers),
                State::Responding(response) => {
                    responses += 1;
                    self.send_response(connection, response)
                }
                State::RejectingWebSocket => match connection.reject_websocket() {
                    Ok(true) => Step::Next(connection.linger()),
                    Ok(false) => Step::Pause(State::RejectingWebSocket, Action::Wait),
                    Err(_) => Step::Close,
                },
                State::LingeringClose(end) => {
                    Step::Pause(State::LingeringClose(end), connection.drain(end))
                }
            };
            if let Some(action) = connection.apply(step) {
                return action;
            }
        }
    }

    /// What an exchange needs of its client's connection.
    fn downstream<'a>(
        &'a self,
        connection: &'a mut Connection,
        buffers: &'a mut Buffers,
    ) -> Downstream<'a> {
        let (hsts, metrics) = (&self.hsts, &self.metrics);
        let (client, read_ahead) = (&mut connection.stream, &mut connection.head);
        Downstream { client, read_ahead, buffers, hsts, metrics }
    }

    // Each of these handles one state and returns what follows.

    fn handshake(&self, connection: &mut Connection, listen: &Listen) -> Step {
        match connection.stream.try_handshake() {
            // The handshake was the answer to a challenge, and nothing may follow it (RFC 8737 section 4).
            Ok(()) if connection.stream.protocol() == Some(ACME_TLS) => {
                Step::Next(connection.linger())
            }
            Ok(()) => {
                self.metrics.handshake(connection.stream.is_tls13());
                Step::Next(connection.expect_request())
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                connection.last_progress = Instant::now();
                Step::Pause(State::Handshake, Action::Wait)
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                let why = "the client speaks plain HTTP";
                self.on_failed_handshake(connection, listen, HandshakeFailure::PlainHttp, why);
                Step::Next(self.respond_plain_http(connection, listen))
            }
            Err(e) => {
                let (failure, why) = (handshake_log::failure(&e), handshake_log::reason(&e));
                self.on_failed_handshake(connection, listen, failure, &why);
                Step::Close
            }
        }
    }

    fn read_request(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
    ) -> Step {
        match connection.head.request() {
            Ok(Some(head)) => self.judge(connection, listen, head),
            Ok(None) => match connection.read_head(buffers) {
                Ok(true) => Step::Next(State::Head),
                Ok(false) => {
                    connection.on_partial_head();
                    Step::Pause(State::Head, Action::Wait)
                }
                Err(e) => {
                    if e.kind() == ErrorKind::UnexpectedEof {
                        connection.stream.close_write(); // the client may wait for our close
                    }
                    Step::Close
                }
            },
            Err(error) => Step::Next(self.reject_malformed(connection, listen, error)),
        }
    }

    /// Continues with an exchange that has tried to connect to its service.
    pub(crate) fn on_start(&self, connection: &mut Connection, start: Start) -> Step {
        match start {
            Start::Started(proxy) => {
                let now = Instant::now();
                connection.deadline = now + proxy.timeout();
                connection.bucket = TokenBucket::new(now);
                Step::Next(State::Proxying(proxy))
            }
            Start::WouldBlock(exchange) => Step::Block(Work::Connect(exchange)),
            Start::Failed(exchange, end) => self.finish_request(connection, exchange.request, end),
        }
    }

    fn proxy(
        &self,
        connection: &mut Connection,
        mut proxy: Box<HttpProxy>,
        buffers: &mut Buffers,
    ) -> Step {
        if connection.hung_up {
            let end = ExchangeEnd::Abort("the client disconnected".to_owned());
            return self.finish_request(connection, proxy.into_exchange().request, end);
        }
        let before = proxy.bytes_moved();
        let next = match proxy.advance(&mut self.downstream(connection, buffers)) {
            Progress::Done(end) if proxy.may_retry(&end) => {
                let mut exchange = proxy.into_exchange();
                exchange.is_retry = true;
                return self.on_start(connection, Start::try_connect(exchange));
            }
            Progress::Done(end) => {
                return self.finish_request(connection, proxy.into_exchange().request, end);
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
                return Step::Next(State::Tunnel(Box::new(proxy.into_tunnel(arrived))));
            }
        };
        Step::Pause(State::Proxying(proxy), next)
    }

    fn tunnel(
        &self,
        connection: &mut Connection,
        mut tunnel: Box<Tunnel>,
        buffers: &mut Buffers,
    ) -> Step {
        if tunnel.is_aborted(connection.hung_up) {
            let end = ExchangeEnd::Abort("the client disconnected".to_owned());
            return self.finish_request(connection, tunnel.into_exchange().request, end);
        }
        let before = tunnel.bytes_moved();
        let next = match tunnel.advance(&mut self.downstream(connection, buffers)) {
            Progress::Done(end) => {
                return self.finish_request(connection, tunnel.into_exchange().request, end);
            }
            Progress::Pending(false) => Action::Wait,
            progress => {
                connection.record_progress(tunnel.bytes_moved() - before, limits::TUNNEL_IDLE);
                if matches!(progress, Progress::Yield) { Action::Yield } else { Action::Wait }
            }
        };
        Step::Pause(State::Tunnel(tunnel), next)
    }
}
