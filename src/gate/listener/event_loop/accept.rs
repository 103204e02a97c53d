//! Accepts connections on a listener.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{MutexGuard, PoisonError};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::{EDGE, EventLoop, LISTENER, Tick};
use crate::gate::limits;
use crate::gate::limits::eviction::Need;
use crate::metrics::Refusal;

impl EventLoop {
    /// Accepts new connections: a limited number at once, so that open connections have their turn, and one at a
    /// time while too many handshakes are pending, which would have to be evicted.
    pub(crate) fn accept(&self) {
        if self.tick_state().accepting_paused {
            return; // until the next tick
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        for accepted in 0..limits::ACCEPTED_PER_TURN {
            if accepted > 0
                && self.connections().pending_handshakes() >= self.shared.max_pending_handshakes
            {
                break;
            }
            match rustix::net::acceptfrom_with(&self.listener, flags) {
                Ok((socket, address)) => {
                    let peer = address.and_then(|a| SocketAddr::try_from(a).ok());
                    self.begin(TcpStream::from(socket), peer);
                }
                // The next connection is an event.
                Err(Errno::AGAIN) => return,
                // Out of descriptors or memory: close idle connections and retry in a moment.
                Err(e @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    self.shared.evict(&self.gate, Need::Connection);
                    self.gate.idle_pool.close_oldest();
                    let mut tick = self.tick_state();
                    if !tick.accepting_paused {
                        let why = io::Error::from(e);
                        self.gate.log.error(format_args!(
                            "{}: cannot accept connections: {why}; closing idle connections",
                            self.listen.address
                        ));
                    }
                    tick.accepting_paused = true;
                    return;
                }
                // The listener has been shut down.
                Err(Errno::INVAL | Errno::BADF) => return,
                // A fault of that one connection (RFC 1122's transient errors, as accept(2) lists them).
                Err(_) => {}
            }
        }
        self.rearm_listener();
    }

    fn tick_state(&self) -> MutexGuard<'_, Tick> {
        self.next_tick.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has connections that wait already reported again.
    pub(crate) fn rearm_listener(&self) {
        let data = epoll::EventData::new_u64(LISTENER);
        if let Err(e) = epoll::modify(&self.epoll, &self.listener, data, EDGE) {
            let why = io::Error::from(e);
            self.gate.log.error(format_args!(
                "{}: this listener takes no more connections; restart the daemon: {why}",
                self.listen.address
            ));
        }
    }

    fn begin(&self, tcp: TcpStream, peer: Option<SocketAddr>) {
        let Some(peer) = peer else { return };
        if !self.gate.admits(peer.ip(), &self.listen) {
            return self.gate.metrics.refused(Refusal::Address);
        }
        let permit = self.shared.connections.try_acquire().or_else(|| {
            self.shared.evict(&self.gate, Need::Connection);
            self.shared.connections.try_acquire()
        });
        let Ok(connection) = self.gate.new_connection(tcp, peer, &self.listen, permit) else {
            return self.gate.metrics.refused(Refusal::Resources);
        };
        let mut connection = Box::new(connection);
        let token = self.connections().new_token();
        match self.register(token, &mut connection) {
            // Its events wait for the lock, so none is pending.
            Ok(mut connections) => drop(connections.put(token, connection)),
            Err(_) => self.close(token, connection),
        }
    }
}
