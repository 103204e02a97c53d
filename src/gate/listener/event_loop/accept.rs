//! Who comes in at a port.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::PoisonError;

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::{EventLoop, LISTENER};
use crate::gate::limits;

impl EventLoop {
    /// Takes in who waits at the door; a crowd in portions, so that those inside are served meanwhile, and
    /// one at a time while too many of them still have to be greeted: they would have to go before their turn.
    pub(crate) fn accept(&self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        for accepted in 0..limits::ACCEPTED_AT_ONCE {
            if accepted > 0 && self.parked().strangers() >= self.shared.strangers {
                break;
            }
            match rustix::net::acceptfrom_with(&self.listener, flags) {
                Ok((socket, address)) => {
                    let peer = address.and_then(|a| SocketAddr::try_from(a).ok());
                    self.register(TcpStream::from(socket), peer);
                }
                Err(Errno::AGAIN) => break,
                // Ours to mend: make room, and come back in a moment.
                Err(e @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    self.shared.evict_idle();
                    self.gate.kept.give_up_oldest();
                    let mut tick = self.next_tick.lock().unwrap_or_else(PoisonError::into_inner);
                    if !tick.accepting_paused {
                        let why = io::Error::from(e);
                        self.gate.log.error(format_args!(
                            "cannot accept connections on {}: {why}; closing idle ones",
                            self.listen.address
                        ));
                    }
                    tick.accepting_paused = true;
                    return;
                }
                // The listener is shut down.
                Err(Errno::INVAL | Errno::BADF) => return,
                // That one client's fault (RFC 1122's transient errors, as accept(2) lists them).
                Err(_) => {}
            }
        }
        self.watch_listener();
    }

    pub(crate) fn watch_listener(&self) {
        let once = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(LISTENER);
        if let Err(e) = epoll::modify(&self.epoll, &self.listener, data, once) {
            let why = io::Error::from(e);
            self.gate.log.error(format_args!("{} accepts no more: {why}", self.listen.address));
        }
    }

    fn register(&self, tcp: TcpStream, peer: Option<SocketAddr>) {
        let Some(peer) = peer else { return };
        if !self.shared.connection_came() {
            self.shared.evict_idle();
        }
        let _ = tcp.set_nodelay(true);
        let Ok(connection) = self.gate.new_connection(tcp, peer, &self.listen) else {
            self.shared.connections_gone(1);
            return;
        };
        let mut connection = Box::new(connection);
        let mut parked = self.parked();
        let token = parked.token();
        if connection.stream.report(&self.epoll, token, false).is_err() {
            parked.forget(token);
            self.shared.connections_gone(1);
            return;
        }
        // Nobody else has been told yet: whoever is has to wait for the lock.
        let _ = parked.put(token, connection);
    }
}
