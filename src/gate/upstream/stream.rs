//! A connection to a service: TCP or a Unix socket.

use std::io::{self, IoSlice, Read, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::gate::io::duplex::Duplex;
use crate::gate::io::readiness::{Readiness, retry};

/// Set in the token of an upstream socket.
pub(crate) const UPSTREAM: u64 = 1 << 63;

/// A non-blocking connection to a service.
pub(crate) struct UpstreamStream {
    socket: Socket,
    readiness: Readiness,
    /// Released when the connection is closed.
    _permit: DescriptorPermit,
}

/// Counts the descriptors of one connection until it is dropped.
pub(crate) struct DescriptorPermit {
    descriptors: Arc<AtomicUsize>,
    count: usize,
}

impl DescriptorPermit {
    pub(crate) fn new(descriptors: &Arc<AtomicUsize>, count: usize) -> DescriptorPermit {
        descriptors.fetch_add(count, Ordering::Relaxed);
        DescriptorPermit { descriptors: Arc::clone(descriptors), count }
    }
}

impl Drop for DescriptorPermit {
    fn drop(&mut self) {
        self.descriptors.fetch_sub(self.count, Ordering::Relaxed);
    }
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl UpstreamStream {
    /// Wraps a socket that is already non-blocking.
    pub(crate) fn tcp(tcp: TcpStream, permit: DescriptorPermit) -> UpstreamStream {
        UpstreamStream { socket: Socket::Tcp(tcp), readiness: Readiness::new(), _permit: permit }
    }

    /// Wraps a socket that is already non-blocking.
    pub(crate) fn unix(unix: UnixStream, permit: DescriptorPermit) -> UpstreamStream {
        UpstreamStream { socket: Socket::Unix(unix), readiness: Readiness::new(), _permit: permit }
    }

    /// See [`Readiness::register`].
    pub(crate) fn register(&mut self, epoll: &Arc<OwnedFd>, writing: bool) -> io::Result<bool> {
        let token = self.token();
        self.readiness.register(&self.socket, epoll, token, writing)
    }

    /// What epoll reports for the socket, whichever client uses it: [`UPSTREAM`] and the number of its descriptor.
    pub(crate) fn token(&self) -> u64 {
        UPSTREAM | u64::from(self.descriptor().as_raw_fd().unsigned_abs())
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

impl Duplex for UpstreamStream {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.readiness.read(&mut self.socket, buffer)
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        retry(|| match &mut self.socket {
            Socket::Tcp(tcp) => tcp.write_vectored(pieces),
            Socket::Unix(unix) => unix.write_vectored(pieces),
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

    fn set_readable(&mut self, read_closed: bool) {
        self.readiness.set_readable(read_closed);
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
