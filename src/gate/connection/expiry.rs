//! Connections whose deadline has passed or that are evicted.

use super::{Action, Connection, State, Step};
use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::proxy::exchange::{Buffers, ExchangeEnd};

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
            State::Proxying(proxy) => {
                let end = proxy.on_timeout();
                self.finish_exchange(connection, *proxy.into_exchange(), end)
            }
            State::Tunnel(tunnel) => {
                let end = ExchangeEnd::Abort("timed out: the WebSocket was idle".to_owned());
                self.finish_exchange(connection, *tunnel.into_exchange(), end)
            }
            state => {
                if matches!(state, State::Handshake) {
                    self.log_failed_handshake(
                        connection,
                        listen,
                        "the handshake took longer than 10 s",
                    );
                }
                if !self.drops_silently(listen) {
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

    /// Ends the exchange of a slow client whose permit another request needs.
    pub(crate) fn evict(&self, connection: &mut Connection) -> Action {
        let exchange = match std::mem::take(&mut connection.state) {
            State::Proxying(proxy) => proxy.into_exchange(),
            State::Tunnel(tunnel) => tunnel.into_exchange(),
            _ => return Action::Close,
        };
        let end = ExchangeEnd::Abort("evicted: request limit reached".to_owned());
        let _ = self.finish_exchange(connection, *exchange, end);
        Action::Close
    }
}
