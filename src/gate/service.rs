//! A service behind the gate: how to reach it, and the connections kept to it.

use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::limits;
use super::stream::{Duplex, ServiceStream};
use crate::config::ServiceAddress;

/// A service and its idle connections.
pub(crate) struct Service {
    pub(crate) name: String,
    /// Methods that need a valid license; empty for our own and the two speech engines.
    pub(crate) licensed: Vec<String>,
    address: ServiceAddress,
    /// How long it may take to begin its answer, and be silent in the middle of it.
    pub(crate) patience: Duration,
    idle: Mutex<Vec<(Instant, ServiceStream)>>,
}

impl Service {
    pub(crate) fn new(name: &str, address: ServiceAddress, timeout: u32) -> Service {
        Service {
            name: name.to_owned(),
            licensed: Vec::new(),
            address,
            patience: Duration::from_secs(timeout.into()),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// A connection that has served before and has not been closed since, if there is one.
    pub(crate) fn reuse(&self) -> Option<ServiceStream> {
        loop {
            let (since, mut stream) = self.idle().pop()?;
            // The service may have hung up in the meantime, or said something nobody asked for.
            let silent =
                matches!(stream.try_read(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock);
            if silent && since.elapsed() < limits::SERVICE_IDLE {
                return Some(stream);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, stream: ServiceStream) {
        let mut idle = self.idle();
        idle.retain(|(since, _)| since.elapsed() < limits::SERVICE_IDLE);
        if idle.len() < limits::SERVICE_IDLE_COUNT {
            idle.push((Instant::now(), stream));
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// Whatever the last of its addresses answered; `TimedOut` after [`limits::CONNECT`].
    pub(crate) fn connect(&self) -> io::Result<ServiceStream> {
        match &self.address {
            ServiceAddress::Tcp { host, port } => connect_tcp(host, *port).map(ServiceStream::Tcp),
            ServiceAddress::Unix(path) => connect_unix(path).map(ServiceStream::Unix),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, ServiceStream)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let deadline = Instant::now() + limits::CONNECT;
    let mut failure = io::Error::from(ErrorKind::NotFound);
    for address in (host.trim_matches(['[', ']']), port).to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                return Ok(stream);
            }
            Err(e) => failure = e,
        }
    }
    Err(failure)
}

/// Without blocking: a Unix socket whose queue is full would hold the worker for as long as it likes.
fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let deadline = Instant::now() + limits::CONNECT;
    let address = SocketAddrUnix::new(path)?;
    loop {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket: OwnedFd =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(UnixStream::from(socket)),
            Err(rustix::io::Errno::AGAIN) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5)); // nothing to wait on: it is not in the queue
            }
            Err(rustix::io::Errno::AGAIN) => return Err(ErrorKind::TimedOut.into()),
            Err(e) => return Err(e.into()),
        }
    }
}
