//! A service behind the gate: how to reach it, and the connections kept to it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::idle::Kept;
use super::stream::ServiceStream;
use crate::config::ServiceAddress;
use crate::gate::io::duplex::{Duplex, wait};
use crate::gate::limits;
use crate::util::{resolve, unix_connect};

/// A service and how to reach it.
pub(crate) struct Service {
    pub(crate) name: String,
    /// Methods that need a valid license; empty for our own and the two speech engines.
    pub(crate) licensed: Vec<String>,
    address: ServiceAddress,
    /// It is the management API of this process, and this is the first descriptor that leaves too few for
    /// the far ends of our connections.
    ours: Option<usize>,
    /// How long it may take to begin its answer, and be silent in the middle of it.
    pub(crate) patience: Duration,
    kept: Arc<Kept>,
    /// Its own among all services.
    pub(crate) number: usize,
}

impl Service {
    pub(crate) fn new(
        name: &str,
        address: ServiceAddress,
        timeout: u32,
        number: usize,
        kept: &Arc<Kept>,
    ) -> Service {
        Service {
            name: name.to_owned(),
            licensed: Vec::new(),
            address,
            ours: None,
            patience: Duration::from_secs(timeout.into()),
            kept: Arc::clone(kept),
            number,
        }
    }

    /// The management API of this process.
    pub(crate) fn ours(address: ServiceAddress, number: usize, kept: &Arc<Kept>) -> Service {
        let ours = Some(limits::descriptors_with_ourselves());
        Service { ours, ..Service::new("management", address, limits::OWN_TIMEOUT, number, kept) }
    }

    /// A connection that has served before and has not been closed since, if there is one.
    pub(crate) fn reuse(&self) -> Option<ServiceStream> {
        loop {
            let (since, mut stream) = self.kept.take(self.number)?;
            // The service may have hung up in the meantime, or said something nobody asked for.
            stream.note_readable(false);
            let silent =
                matches!(stream.try_read(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock);
            if silent && since.elapsed() < limits::SERVICE_IDLE {
                return Some(stream);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, stream: ServiceStream) {
        self.kept.keep(self.number, stream);
    }

    /// A new connection; `None` if it takes waiting and the caller may not.
    ///
    /// # Errors
    /// Whatever the last of its addresses answered; `TimedOut` after [`limits::CONNECT`].
    pub(crate) fn connect(&self, may_wait: bool) -> io::Result<Option<ServiceStream>> {
        let patience = if may_wait { limits::CONNECT } else { Duration::ZERO };
        let seat = self.kept.seat(self.descriptors());
        match &self.address {
            ServiceAddress::Unix(path) => {
                let unix = connect_unix(path, self.ours, &self.kept, patience)?;
                Ok(unix.map(|unix| ServiceStream::unix(unix, seat)))
            }
            ServiceAddress::Tcp { host, port } => {
                let host = host.trim_matches(['[', ']']);
                let tcp = match host.parse::<IpAddr>() {
                    Ok(ip) => connect_tcp(SocketAddr::new(ip, *port), patience)?,
                    Err(_) => match resolve::this_machine(host, *port) {
                        Some(addresses) => connect_to_any(&addresses, patience)?,
                        None if may_wait => {
                            connect_to_any(&resolve::addresses(host, *port)?, patience)?
                        }
                        None => None,
                    },
                };
                Ok(tcp.map(|tcp| ServiceStream::tcp(tcp, seat)))
            }
        }
    }

    /// Descriptors that a connection takes.
    fn descriptors(&self) -> usize {
        if self.ours.is_some() { limits::DESCRIPTORS_WITH_OURSELVES } else { 1 }
    }
}

/// The first that takes the connection; one that says nothing leaves the others their share of the time.
/// `None` if there is none, and one of them has not said so yet.
fn connect_to_any(addresses: &[SocketAddr], patience: Duration) -> io::Result<Option<TcpStream>> {
    let deadline = Instant::now() + patience;
    let mut failure = Some(io::Error::from(ErrorKind::NotFound));
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let share = share.max(Duration::from_millis(1)).min(patience);
        match connect_tcp(*address, share) {
            Ok(Some(stream)) => return Ok(Some(stream)),
            Ok(None) => failure = None,
            Err(e) => failure = failure.map(|_| e),
        }
    }
    failure.map_or(Ok(None), Err)
}

/// `None`, or an error after a real wait, if `patience` did not last.
fn connect_tcp(address: SocketAddr, patience: Duration) -> io::Result<Option<TcpStream>> {
    if patience.is_zero() && !address.ip().to_canonical().is_loopback() {
        return Ok(None); // from another machine no answer comes at once
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
    // On this machine that is settled by now, one way or the other.
    let descriptor = std::os::fd::AsFd::as_fd(&socket);
    match wait([(descriptor, PollFlags::OUT)], Instant::now() + patience)? {
        Some(_) => match socket.take_error()? {
            None => Ok(Some(socket)),
            Some(e) => Err(e),
        },
        None if patience.is_zero() => Ok(None),
        None => Err(ErrorKind::TimedOut.into()),
    }
}

/// `None`, or an error after a real wait, if `patience` did not last.
fn connect_unix(
    path: &Path,
    ours: Option<usize>,
    kept: &Kept,
    patience: Duration,
) -> io::Result<Option<UnixStream>> {
    // The lowest number that is free (POSIX, "File Descriptor Allocation"): so many are in use. Far
    // ends of connections that had to make room are among them until tiny_http has noticed.
    let too_many = |socket: &OwnedFd| {
        let in_use = usize::try_from(socket.as_raw_fd()).unwrap_or(usize::MAX);
        ours.is_some_and(|end| in_use >= end)
    };
    let admits = |socket: &OwnedFd| {
        if too_many(socket) {
            kept.give_up_oldest();
            return Err(Errno::MFILE);
        }
        Ok(())
    };
    // Where our own broke it is made anew at once.
    let passes = |e| match e {
        Errno::AGAIN => true,
        Errno::CONNREFUSED | Errno::NOENT | Errno::MFILE => ours.is_some(),
        _ => false,
    };
    match unix_connect::retry(patience, || unix_connect::connect(path, admits), passes) {
        Ok(stream) => Ok(Some(stream)),
        Err(e) if patience.is_zero() && passes(e) => Ok(None),
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

    /// A port with no room for a connection more, where a SYN is not answered; and those that fill it.
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

    /// Somebody's SYN to that port is not answered yet, proc_net_tcp(5).
    fn asks(address: SocketAddr) -> bool {
        let port = format!(":{:04X}", address.port());
        std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields[2].ends_with(&port) && fields[3] == "02"
        })
    }

    #[test]
    fn an_address_that_says_nothing_leaves_time_for_the_others() {
        let (_first, _inside, first) = silent();
        let (second, _inside, late) = silent();
        let patience = Duration::from_secs(6);
        let end = Instant::now() + patience * 2;
        std::thread::scope(|scope| {
            // It has room once it was asked, and is asked again a second later.
            scope.spawn(|| {
                while !asks(late) && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(5));
                }
                drop(second.accept());
            });
            assert!(connect_to_any(&[first, late], patience).unwrap().is_some());
        });
        let error = connect_to_any(&[first], Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        let refused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let error = connect_to_any(&[first, refused], Duration::from_millis(50));
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        // Who may not wait is told to, unless all have refused.
        assert!(connect_to_any(&[first, refused], Duration::ZERO).unwrap().is_none());
        let error = connect_to_any(&[refused, refused], Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
