//! The listening sockets: passed by a service manager or bound here, accepted from by one thread, and closed
//! first when the authority stops.

use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use super::address::Listen;
use crate::log::Log;
use crate::util::service_manager::passed_sockets;
use crate::util::{tcp_listen, unix_listen};

/// Connections that the kernel may queue for each socket.
const BACKLOG: i32 = 4_096;

/// Connections that are still accepted from each socket when it is about to be closed, so that a flood can't hold
/// up the stop.
const MAX_QUEUED: usize = 1_000;

/// A listening socket.
pub(crate) struct Listener {
    socket: OwnedFd,
    listen: Listen,
    /// Inode of the file of a Unix socket that was made here, by which it is known when it is to be removed.
    made: Option<u64>,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Ip(IpAddr),
    /// A process on this machine, by a Unix socket.
    Unix,
}

impl Peer {
    /// Its address; that of this machine for a Unix socket.
    pub(crate) fn ip(self) -> IpAddr {
        match self {
            Peer::Ip(ip) => ip,
            Peer::Unix => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl Listener {
    /// Takes the sockets that the service manager has passed, and binds what is in `wanted` and was not
    /// passed.
    ///
    /// # Errors
    /// One line that names the address and the reason.
    pub(crate) fn open(wanted: &[Listen]) -> Result<Vec<Listener>, String> {
        let mut listeners = passed_sockets("pass listening TCP and Unix sockets only", passed)?;
        for listen in wanted {
            if !listeners.iter().any(|passed| passed.listen == *listen) {
                listeners.push(Listener::bind(listen, wanted)?);
            }
        }
        Ok(listeners)
    }

    fn bind(listen: &Listen, all: &[Listen]) -> Result<Listener, String> {
        match listen {
            Listen::Tcp(address) => {
                // `[::]` takes IPv4 too, unless another address is for that.
                let ipv4 = |other: &Listen| matches!(other, Listen::Tcp(o) if o.is_ipv4() && o.port() == address.port());
                let only_ipv6 = all.iter().any(ipv4);
                let listener = tcp_listen::listen(*address, BACKLOG, only_ipv6, false)
                    .map_err(|error| tcp_listen::refusal(*address, error))?;
                let local = listener
                    .local_addr()
                    .map_err(|error| format!("cannot listen on {address}: {error}"))?;
                let socket = listener.into();
                Ok(Listener { socket, listen: Listen::Tcp(local), made: None })
            }
            Listen::Unix(path) => {
                let listener = unix_listen::listen(path, unix_listen::OWNER_AND_GROUP, BACKLOG)?;
                let failed = |error: io::Error| format!("can't listen on {listen}: {error}");
                listener.set_nonblocking(true).map_err(failed)?;
                let made = std::fs::symlink_metadata(path).map_err(failed)?.ino();
                Ok(Listener { socket: listener.into(), listen: listen.clone(), made: Some(made) })
            }
        }
    }

    pub(crate) fn address(&self) -> &Listen {
        &self.listen
    }

    /// The file of a Unix socket that was made here.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.listen {
            Listen::Unix(path) if self.made.is_some() => Some(path),
            _ => None,
        }
    }

    fn accept(&self) -> Result<(TcpStream, Peer), Errno> {
        let (socket, peer) = acceptfrom_with(&self.socket, SocketFlags::CLOEXEC)?;
        let peer = match peer.map(SocketAddr::try_from) {
            Some(Ok(address)) => Peer::Ip(address.ip().to_canonical()),
            _ => Peer::Unix,
        };
        // What is done with it is the same system call for either family.
        Ok((TcpStream::from(socket), peer))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = self.file() {
            // Whoever took the path over meanwhile keeps it. Without the right to remove it, it is stale, and
            // the next start replaces it.
            if std::fs::symlink_metadata(path).is_ok_and(|found| Some(found.ino()) == self.made) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Takes a socket from the service manager.
fn passed(passed: &mut ListenFd, index: usize) -> io::Result<Option<Listener>> {
    let (socket, listen): (OwnedFd, Listen) = match passed.take_tcp_listener(index) {
        Ok(None) => return Ok(None),
        Ok(Some(listener)) => {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            (listener.into(), Listen::Tcp(address))
        }
        Err(_) => {
            let Some(listener) = passed.take_unix_listener(index)? else { return Ok(None) };
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            let path = address.as_pathname().unwrap_or("(without a path)".as_ref()).to_owned();
            (UnixListener::into(listener), Listen::Unix(path))
        }
    };
    // It may only be bound; for a listening socket, this sets the backlog.
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(Some(Listener { socket, listen, made: None }))
}

/// The thread that accepts connections from all sockets.
pub(crate) struct Accepting {
    /// Closed to stop the thread.
    stop: UnixStream,
    thread: JoinHandle<()>,
}

impl Accepting {
    /// Starts to accept; `handle` gets every connection and must not wait for long.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn start(
        listeners: Vec<Listener>,
        log: Log,
        handle: impl Fn(TcpStream, Peer) + Send + 'static,
    ) -> io::Result<Accepting> {
        let (stop, stopped) = UnixStream::pair()?;
        let thread = thread::Builder::new()
            .name("accept".to_owned())
            .spawn(move || accept(&listeners, &stopped, &log, &handle))?;
        Ok(Accepting { stop, thread })
    }

    /// Closes all sockets, so that newcomers go elsewhere.
    pub(crate) fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

fn accept(
    listeners: &[Listener],
    stopped: &UnixStream,
    log: &Log,
    handle: &dyn Fn(TcpStream, Peer),
) {
    loop {
        let mut waited: Vec<PollFd<'_>> = listeners
            .iter()
            .map(|listener| PollFd::new(&listener.socket, PollFlags::IN))
            .chain([PollFd::new(stopped, PollFlags::IN)])
            .collect();
        match poll(&mut waited, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => fail(log, error),
        }
        let ready: Vec<bool> = waited.iter().map(|one| !one.revents().is_empty()).collect();
        if ready.last() == Some(&true) && matches!((&*stopped).read(&mut [0]), Ok(0)) {
            return accept_queued(listeners, handle);
        }
        for (listener, _) in listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            match listener.accept() {
                Ok((stream, peer)) => handle(stream, peer),
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => fail(log, error),
            }
        }
    }
}

/// Accepts what has connected already: closing a socket resets the connections in its queue.
fn accept_queued(listeners: &[Listener], handle: &dyn Fn(TcpStream, Peer)) {
    for listener in listeners {
        let queued = std::iter::from_fn(|| listener.accept().ok());
        queued.take(MAX_QUEUED).for_each(|(stream, peer)| handle(stream, peer));
    }
}

/// Out of descriptors or memory: other connections have to finish first.
fn fail(log: &Log, error: Errno) {
    log.error(format_args!("cannot accept a connection: {}", io::Error::from(error)));
    thread::sleep(Duration::from_millis(100));
}
