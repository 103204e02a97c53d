//! Connections whose deadline has passed or that are evicted.

use super::{Action, Connection, State};
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
            let next = self.advance(connection, listen, buffers, false);
            if !matches!(next, Action::Wait) || connection.deadline > deadline {
                return next;
            }
        }
        match std::mem::replace(&mut connection.state, State::Head) {
            State::Proxying(proxy) => {
                let end = proxy.on_timeout();
                self.finish_exchange(connection, *proxy.into_exchange(), end)
                    .unwrap_or(Action::Wait)
            }
            State::Tunnel(tunnel) => {
                let end = ExchangeEnd::Abort("timed out: the WebSocket was idle".to_owned());
                self.finish_exchange(connection, *tunnel.into_exchange(), end)
                    .unwrap_or(Action::Wait)
            }
            state => {
                if matches!(state, State::Handshake) {
                    self.log_failed_handshake(
                        connection,
                        listen,
                        "the handshake took longer than 10 s",
                    );
                }
                connection.state = state;
                if !self.drops_silently(listen) {
                    connection.on_idle_timeout();
                }
                Action::Close
            }
        }
    }

    /// Ends the exchange of a slow client whose permit another request needs.
    pub(crate) fn evict(&self, connection: &mut Connection) -> Action {
        let exchange = match std::mem::replace(&mut connection.state, State::Head) {
            State::Proxying(proxy) => proxy.into_exchange(),
            State::Tunnel(tunnel) => tunnel.into_exchange(),
            _ => return Action::Close,
        };
        let end = ExchangeEnd::Abort("evicted: request limit reached".to_owned());
        let _ = self.finish_exchange(connection, *exchange, end);
        Action::Close
    }
}
