//! The service's side of an exchange: TCP or a Unix socket.

use std::io::{self, Read, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::idle::Seat;
use crate::gate::io::duplex::Duplex;
use crate::gate::io::readiness::{Readiness, retry};

/// Never blocks.
pub(crate) struct ServiceStream {
    socket: Socket,
    watched: Readiness,
    /// Given back when it is closed.
    _seat: Seat,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl ServiceStream {
    /// Of a socket that is non-blocking already.
    pub(crate) fn tcp(tcp: TcpStream, seat: Seat) -> ServiceStream {
        ServiceStream { socket: Socket::Tcp(tcp), watched: Readiness::new(), _seat: seat }
    }

    /// Of a socket that is non-blocking already.
    pub(crate) fn unix(unix: UnixStream, seat: Seat) -> ServiceStream {
        ServiceStream { socket: Socket::Unix(unix), watched: Readiness::new(), _seat: seat }
    }

    /// See [`Readiness::report`].
    pub(crate) fn report(
        &mut self,
        epoll: &Arc<OwnedFd>,
        token: u64,
        writing: bool,
    ) -> io::Result<()> {
        self.watched.report(&self.socket, epoll, token, writing)
    }
}

impl Read for &mut Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(tcp) => tcp.read(buffer),
            Socket::Unix(unix) => unix.read(buffer),
        }
    }
}

impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Tcp(tcp) => tcp.as_fd(),
            Socket::Unix(unix) => unix.as_fd(),
        }
    }
}

impl Duplex for ServiceStream {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watched.read(&mut self.socket, buffer)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| match &mut self.socket {
            Socket::Tcp(tcp) => tcp.write(bytes),
            Socket::Unix(unix) => unix.write(bytes),
        })
    }

    fn try_flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish_writing(&mut self) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Socket::Unix(unix) => unix.shutdown(Shutdown::Write),
        }
    }

    fn note_readable(&mut self, ending: bool) {
        self.watched.note_readable(ending);
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
