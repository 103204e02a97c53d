//! A service behind the gate, and how to connect to it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::pool::IdlePool;
use super::stream::UpstreamStream;
use crate::config::ServiceAddress;
use crate::gate::io::duplex::{Duplex, wait};
use crate::gate::limits;
use crate::util::{resolve, unix_connect};

/// A service, its address and its idle connections.
pub(crate) struct Upstream {
    pub(crate) name: String,
    /// Methods that need a valid license; empty for the two speech engines.
    pub(crate) licensed: Vec<String>,
    address: ServiceAddress,
    /// How long the service may take to begin its response, and pause within it.
    pub(crate) timeout: Duration,
    idle_pool: Arc<IdlePool>,
    /// Its index among all services.
    pub(crate) number: usize,
}

impl Upstream {
    pub(crate) fn new(
        name: &str,
        address: ServiceAddress,
        timeout: u32,
        number: usize,
        idle_pool: &Arc<IdlePool>,
    ) -> Upstream {
        Upstream {
            name: name.to_owned(),
            licensed: Vec::new(),
            address,
            timeout: Duration::from_secs(timeout.into()),
            idle_pool: Arc::clone(idle_pool),
            number,
        }
    }

    /// Takes an idle connection that is still open.
    pub(crate) fn reuse(&self) -> Option<UpstreamStream> {
        loop {
            let (since, mut stream) = self.idle_pool.take(self.number)?;
            // The service may have closed it in the meantime, or sent something unexpected.
            stream.set_readable(false);
            let silent =
                matches!(stream.try_read(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock);
            if silent && since.elapsed() < limits::UPSTREAM_IDLE {
                return Some(stream);
            }
        }
    }

    /// Puts a connection into the pool for the next request.
    pub(crate) fn keep(&self, stream: UpstreamStream) {
        self.idle_pool.put(self.number, stream);
    }

    /// Opens a connection, which may take [`limits::CONNECT`].
    ///
    /// # Errors
    /// The error of the last address; `TimedOut` when the time is up.
    pub(crate) fn connect(&self) -> io::Result<UpstreamStream> {
        self.connect_within(limits::CONNECT)?.ok_or_else(|| ErrorKind::TimedOut.into())
    }

    /// Opens a connection; `None` if that would block.
    ///
    /// # Errors
    /// The error of the last address.
    pub(crate) fn try_connect(&self) -> io::Result<Option<UpstreamStream>> {
        self.connect_within(Duration::ZERO)
    }

    /// Opens a connection. When `timeout` expires: `None` if it was zero, otherwise `TimedOut`.
    fn connect_within(&self, timeout: Duration) -> io::Result<Option<UpstreamStream>> {
        let permit = self.idle_pool.reserve(1);
        match &self.address {
            ServiceAddress::Unix(path) => {
                let unix = connect_unix(path, timeout)?;
                Ok(unix.map(|unix| UpstreamStream::unix(unix, permit)))
            }
            ServiceAddress::Tcp { host, port } => {
                let host = host.trim_matches(['[', ']']);
                let tcp = match host.parse::<IpAddr>() {
                    Ok(ip) => connect_tcp(SocketAddr::new(ip, *port), timeout)?,
                    Err(_) => match resolve::this_machine(host, *port) {
                        Some(addresses) => connect_to_any(&addresses, timeout)?,
                        None if timeout.is_zero() => None,
                        None => connect_to_any(&resolve::addresses(host, *port)?, timeout)?,
                    },
                };
                Ok(tcp.map(|tcp| UpstreamStream::tcp(tcp, permit)))
            }
        }
    }
}

/// Connects to the first address that accepts; each address has its share of the time. `None` if no address has
/// accepted and at least one has not refused yet.
fn connect_to_any(addresses: &[SocketAddr], timeout: Duration) -> io::Result<Option<TcpStream>> {
    let deadline = Instant::now() + timeout;
    let mut failure = Some(io::Error::from(ErrorKind::NotFound));
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let share = share.max(Duration::from_millis(1)).min(timeout);
        match connect_tcp(*address, share) {
            Ok(Some(stream)) => return Ok(Some(stream)),
            Ok(None) => failure = None,
            Err(e) => failure = failure.map(|_| e),
        }
    }
    failure.map_or(Ok(None), Err)
}

/// Connects to `address`. When `timeout` expires: `None` if it was zero, otherwise `TimedOut`.
fn connect_tcp(address: SocketAddr, timeout: Duration) -> io::Result<Option<TcpStream>> {
    if timeout.is_zero() && !address.ip().to_canonical().is_loopback() {
        return Ok(None); // another machine cannot accept at once
    }
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = TcpStream::from(socket_with(family, SocketType::STREAM, flags, None)?);
    socket.set_nodelay(true)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => return Ok(Some(socket)),
        Err(Errno::INPROGRESS) => {}
        Err(e) => return Err(e.into()),
    }
    // An address of this machine has accepted or refused by now.
    let descriptor = std::os::fd::AsFd::as_fd(&socket);
    match wait([(descriptor, PollFlags::OUT)], Instant::now() + timeout)? {
        Some(_) => match socket.take_error()? {
            None => Ok(Some(socket)),
            Some(e) => Err(e),
        },
        None if timeout.is_zero() => Ok(None),
        None => Err(ErrorKind::TimedOut.into()),
    }
}

/// Connects to the socket at `path`. When `timeout` expires: `None` if it was zero, otherwise `TimedOut`.
fn connect_unix(path: &Path, timeout: Duration) -> io::Result<Option<UnixStream>> {
    match unix_connect::connect(path, timeout) {
        Ok(stream) => Ok(Some(stream)),
        Err(Errno::AGAIN) if timeout.is_zero() => Ok(None),
        Err(Errno::AGAIN) => Err(ErrorKind::TimedOut.into()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

    use super::{connect_tcp, connect_to_any};

    /// A port with a full backlog, where a SYN is not answered, and the connections that fill it.
    fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let full = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&full, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&full, 0).unwrap();
        let full = TcpListener::from(full);
        let address = full.local_addr().unwrap();
        let glance = Duration::from_millis(50);
        let fill = || connect_tcp(address, glance).ok().flatten();
        let inside = std::iter::from_fn(fill).collect();
        (full, inside, address)
    }

    /// True if a SYN to that port is not answered yet, proc_net_tcp(5).
    fn has_pending_syn(address: SocketAddr) -> bool {
        let port = format!(":{:04X}", address.port());
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields[2].ends_with(&port) && fields[3] == "02"
        })
    }

    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_others() {
        let (_first, _inside, first) = silent();
        let (second, _inside, late) = silent();
        let timeout = Duration::from_secs(6);
        let end = Instant::now() + timeout * 2;
        std::thread::scope(|scope| {
            // It has room after the first SYN, which the kernel repeats a second later.
            scope.spawn(|| {
                while !has_pending_syn(late) && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(5));
                }
                drop(second.accept());
            });
            assert!(connect_to_any(&[first, late], timeout).unwrap().is_some());
        });
        let error = connect_to_any(&[first], Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let error = connect_to_any(&[first, refused], Duration::from_millis(50));
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        // Without a timeout the result is `None`, unless all addresses have refused.
        assert!(connect_to_any(&[first, refused], Duration::ZERO).unwrap().is_none());
        let error = connect_to_any(&[refused, refused], Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
