//! Connections whose time is up, and those that make room for others.

use super::{Connection, Next, Phase};
use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::proxy::exchange::{Buffers, Ending};

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
    ) -> Next {
        if connection.waits_to_write() {
            let until = connection.deadline;
            let next = self.advance(connection, listen, buffers, false);
            if !matches!(next, Next::Park) || connection.deadline > until {
                return next;
            }
        }
        match std::mem::replace(&mut connection.phase, Phase::Head) {
            Phase::Relay(relay) => {
                let ending = relay.out_of_patience();
                self.settle(connection, *relay.into_exchange(), ending).unwrap_or(Next::Park)
            }
            Phase::Tunnel(tunnel) => {
                let ending = Ending::Cut("the tunnel was silent for too long".to_owned());
                self.settle(connection, *tunnel.into_exchange(), ending).unwrap_or(Next::Park)
            }
            phase => {
                if matches!(phase, Phase::Handshake) {
                    self.note_stranger(connection, listen, "the handshake took longer than 10 s");
                }
                connection.phase = phase;
                if !self.is_silent(listen) {
                    connection.dismiss();
                }
                Next::Gone
            }
        }
    }

    /// It has to make room for others.
    pub(crate) fn evict(&self, connection: &mut Connection) -> Next {
        let exchange = match std::mem::replace(&mut connection.phase, Phase::Head) {
            Phase::Relay(relay) => relay.into_exchange(),
            Phase::Tunnel(tunnel) => tunnel.into_exchange(),
            _ => return Next::Gone,
        };
        let ending = Ending::Cut("had to make room for others".to_owned());
        let _ = self.settle(connection, *exchange, ending);
        Next::Gone
    }
}
