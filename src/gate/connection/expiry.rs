//! Connections whose deadline has passed or that are evicted.

use super::{Action, Connection, State, Step};
use crate::config::Listen;
use crate::gate::proxy::exchange::{Buffers, ExchangeEnd};
use crate::gate::{Gate, limits};
use crate::metrics::{Area, HandshakeFailure};

impl Gate {
    /// Handles a passed deadline.
    ///
    /// A client that reads slowly may have made progress without an event: the kernel reports a socket as writable
    /// only when a third of its buffer is free, and the buffer has megabytes if the client was fast before. So a
    /// pending write is tried again first.
    pub(crate) fn expire(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
    ) -> Action {
        if connection.waits_to_write() {
            let deadline = connection.deadline;
            let next = self.advance(connection, listen, buffers);
            if !matches!(next, Action::Wait) || connection.deadline > deadline {
                return next;
            }
        }
        let step = match std::mem::take(&mut connection.state) {
            State::Collecting(call) => {
                let why = "timed out waiting for the request body".to_owned();
                self.finish_request(connection, call.request, ExchangeEnd::Failed(408, why))
            }
            State::Calling(call) => {
                let why = "management did not respond in time".to_owned();
                self.finish_request(connection, call.request, ExchangeEnd::Failed(504, why))
            }
            State::Proxying(proxy) => {
                let end = proxy.on_timeout();
                self.finish_request(connection, proxy.into_exchange().request, end)
            }
            State::Tunnel(tunnel) => {
                let end = ExchangeEnd::Abort("timed out: the WebSocket was idle".to_owned());
                self.finish_request(connection, tunnel.into_exchange().request, end)
            }
            State::ProxyHeader(_) => {
                self.refuse_proxy_header(connection, listen, "it took longer than 10 s");
                Step::Close
            }
            state => {
                if matches!(state, State::Handshake) {
                    let why = "the handshake took longer than 10 s";
                    self.on_failed_handshake(connection, listen, HandshakeFailure::Timeout, why);
                }
                if !self.drops_silently(listen) {
                    self.count_late_head(connection, &state);
                    connection.on_idle_timeout(&state);
                }
                Step::Close
            }
        };
        match connection.apply(step) {
            Some(action) => action,
            None => self.advance(connection, listen, buffers),
        }
    }

    /// Counts a request whose head took too long.
    fn count_late_head(&self, connection: &Connection, state: &State) {
        if matches!(state, State::Head) && !connection.head.is_empty() {
            self.metrics.request(Area::Unknown, 408, limits::HEAD, (0, 0));
        }
    }

    /// Ends the exchange of a slow client whose permit another request needs.
    pub(crate) fn evict(&self, connection: &mut Connection) -> Action {
        let request = match std::mem::take(&mut connection.state) {
            State::Collecting(call) => call.request,
            State::Proxying(proxy) => proxy.into_exchange().request,
            State::Tunnel(tunnel) => tunnel.into_exchange().request,
            _ => return Action::Close,
        };
        let end = ExchangeEnd::Abort("evicted: request limit reached".to_owned());
        let _ = self.finish_request(connection, request, end);
        Action::Close
    }
}
