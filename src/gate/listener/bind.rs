//! Addresses to sockets, before anything else is touched: privileges are dropped in between.
//!
//! A socket that the service manager has bound already (`LISTEN_FDS`) is taken in place of a bind.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::socket_activation::PassedSockets;
use crate::config::{Listen, Serves};
use crate::log::Log;

/// Connections the kernel may hold for us until we accept them.
pub(crate) const BACKLOG: i32 = 4_096;

/// A port that is bound and not served yet, so that privileges can be dropped in between.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) listen: Listen,
}

impl Bound {
    /// All of them: those that the service manager passed (`sd_listen_fds(3)`) and, bound here, the
    /// others. A socket that no listener wants is an error: whoever connected to it would wait for ever.
    ///
    /// # Errors
    /// One line that names the address, the reason and what to look at.
    pub(crate) fn all(listen: &[Listen], log: &Log) -> Result<Vec<Bound>, String> {
        let mut passed = PassedSockets::take()?;
        let bound = listen
            .iter()
            .map(|listen| passed.bound(listen).map_or_else(|| Bound::new(listen, log), Ok))
            .collect::<Result<_, _>>()?;
        passed.none_left()?;
        Ok(bound)
    }

    /// Binds the address of `listen`. `[::]` takes IPv4 too, and is `0.0.0.0` where there is no IPv6.
    /// One that is not there yet, for DHCP is late or IPv6 still looks for a duplicate, is as good as one
    /// that went away: it costs no other listener and is served once it is there.
    ///
    /// # Errors
    /// One line that names the address, the reason and what to look at.
    fn new(listen: &Listen, log: &Log) -> Result<Bound, String> {
        let mut address = listen.address;
        let bound = match bind(address, false) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
                if address.ip() == std::net::Ipv6Addr::UNSPECIFIED =>
            {
                address = SocketAddr::from(([0, 0, 0, 0], address.port()));
                bind(address, false)
            }
            Err(Errno::ADDRNOTAVAIL) => bind(address, true).inspect(|_| {
                log.warn(format_args!(
                    "{address} is not an address of this machine now: requests are taken as soon as it is"
                ));
            }),
            bound => bound,
        };
        let listener = bound.map_err(|e| {
            let port = address.port();
            let next = match e {
                Errno::ADDRINUSE => format!(" ('ss -ltnp sport = :{port}' shows by whom)"),
                Errno::ACCESS => " (ports below 1024 need root or CAP_NET_BIND_SERVICE)".to_owned(),
                _ => String::new(),
            };
            format!("cannot listen on {address}: {}{next}", io::Error::from(e))
        })?;
        let mut listen = listen.clone();
        if let Ok(local) = listener.local_addr() {
            listen.address = local; // with the port the kernel chose where 0 was asked for
        }
        Ok(Bound { listener, listen })
    }

    /// `address (serves, scheme)`, for the line that tells the operator.
    pub(crate) fn describe(&self) -> String {
        let scheme = if self.listen.tls { "https" } else { "http" };
        let serves = match self.listen.serves {
            Serves::All => "all",
            Serves::Management => "management",
            Serves::Monitoring => "monitoring",
            Serves::Speech => "speech",
            Serves::Realtime => "realtime",
        };
        format!("{} ({serves}, {scheme})", self.listen.address)
    }
}

/// With `absent`, also an address that the machine does not have.
fn bind(address: SocketAddr, absent: bool) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    if absent && address.is_ipv6() {
        sockopt::set_ipv6_freebind(&socket, true)?;
    } else if absent {
        sockopt::set_ip_freebind(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}
