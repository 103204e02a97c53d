//! Sockets that the service manager has bound: `LISTEN_FDS` and `LISTEN_PID`, sd_listen_fds(3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::gate::Error;
use crate::gate::limits::BACKLOG;
use crate::util::service_manager::passed_sockets;

/// The passed sockets that no listener of the settings has taken yet.
pub(crate) struct PassedSockets(Vec<(SocketAddr, TcpListener)>);

impl PassedSockets {
    /// Takes the sockets that are meant for this process, and removes the variables from the environment. Must be
    /// called before other threads exist, because they share the environment.
    ///
    /// # Errors
    /// One line about a descriptor that is not a TCP socket.
    pub(crate) fn take() -> Result<PassedSockets, Error> {
        let taken = passed_sockets("pass listening TCP sockets only", |passed, index| {
            let Some(socket) = passed.take_tcp_listener(index)? else { return Ok(None) };
            socket.set_nonblocking(true)?;
            // It may only be bound; for a listening socket, this sets the backlog.
            rustix::net::listen(&socket, BACKLOG)?;
            Ok(Some((socket.local_addr()?, socket)))
        });
        taken.map(PassedSockets).map_err(Error)
    }

    /// Takes the socket for the address `wanted`, and its own address, if it was passed.
    pub(crate) fn take_for(&mut self, wanted: SocketAddr) -> Option<(SocketAddr, TcpListener)> {
        let index = self.0.iter().position(|(address, _)| serves(*address, wanted))?;
        Some(self.0.swap_remove(index))
    }

    /// # Errors
    /// One line that names the sockets that no listener has taken.
    pub(crate) fn check_unused(&self) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = self.0.iter().map(|(address, _)| address.to_string()).collect();
        Err(Error(format!(
            "LISTEN_FDS passes {}, which no listener in the settings uses; add it to \"listen\" or remove it from the service manager's sockets",
            left.join(" and ")
        )))
    }
}

/// True if a socket at `address` serves the address `wanted` of the settings: they are equal, or it is the IPv4
/// fallback of `[::]`.
fn serves(address: SocketAddr, wanted: SocketAddr) -> bool {
    let fallback = wanted.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    address.port() == wanted.port() && (address.ip() == wanted.ip() || fallback)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::serves;

    #[test]
    fn a_socket_serves_its_own_address_and_an_ipv4_wildcard_the_ipv6_one_too() {
        let serves =
            |address: &str, wanted: &str| serves(address.parse().unwrap(), wanted.parse().unwrap());
        assert!(serves("[::]:80", "[::]:80"));
        assert!(serves("0.0.0.0:80", "[::]:80"));
        assert!(serves("127.0.0.1:80", "127.0.0.1:80"));
        assert!(!serves("[::]:80", "0.0.0.0:80"));
        assert!(!serves("[::]:81", "[::]:80"));
        assert!(!serves("127.0.0.1:80", "[::]:80"));
    }
}
