//! Connections whose time is up, and those that make room for others.

use super::{Action, Connection, State};
use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::proxy::exchange::{Buffers, ExchangeEnd};

impl Gate {
    /// Nothing has happened on `connection` for too long.
    ///
    /// As far as is known: the kernel tells of room in a socket only when a third of its buffer is free,
    /// which has megabytes where a client was fast once. One that reads slowly since is looked at here.
    pub(crate) fn expire(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
    ) -> Action {
        if connection.waits_to_write() {
            let until = connection.deadline;
            let next = self.advance(connection, listen, buffers, false);
            if !matches!(next, Action::Wait) || connection.deadline > until {
                return next;
            }
        }
        match std::mem::replace(&mut connection.state, State::Head) {
            State::Proxying(relay) => {
                let ending = relay.out_of_patience();
                self.finish_exchange(connection, *relay.into_exchange(), ending)
                    .unwrap_or(Action::Wait)
            }
            State::Tunnel(tunnel) => {
                let ending = ExchangeEnd::Cut("the tunnel was silent for too long".to_owned());
                self.finish_exchange(connection, *tunnel.into_exchange(), ending)
                    .unwrap_or(Action::Wait)
            }
            phase => {
                if matches!(phase, State::Handshake) {
                    self.log_failed_handshake(
                        connection,
                        listen,
                        "the handshake took longer than 10 s",
                    );
                }
                connection.state = phase;
                if !self.is_silent(listen) {
                    connection.dismiss();
                }
                Action::Close
            }
        }
    }

    /// It has to make room for others.
    pub(crate) fn evict(&self, connection: &mut Connection) -> Action {
        let exchange = match std::mem::replace(&mut connection.state, State::Head) {
            State::Proxying(relay) => relay.into_exchange(),
            State::Tunnel(tunnel) => tunnel.into_exchange(),
            _ => return Action::Close,
        };
        let ending = ExchangeEnd::Cut("had to make room for others".to_owned());
        let _ = self.finish_exchange(connection, *exchange, ending);
        Action::Close
    }
}
