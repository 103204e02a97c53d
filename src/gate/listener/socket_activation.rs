//! Sockets that the service manager bound for us: `LISTEN_FDS` and `LISTEN_PID`, sd_listen_fds(3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use listenfd::ListenFd;

use super::bind::{BACKLOG, Bound};
use crate::config::Listen;

/// Those that no listener of the settings has taken yet.
pub(crate) struct PassedSockets(Vec<(SocketAddr, TcpListener)>);

impl PassedSockets {
    /// Takes what is meant for this process, and the variables out of the environment. While there is
    /// one thread, for the environment is the process'.
    ///
    /// # Errors
    /// One line about a descriptor that is no TCP socket.
    pub(crate) fn take() -> Result<PassedSockets, String> {
        // Without a process they may be another's, inherited by mistake; listenfd is more generous.
        let ours =
            std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        if !ours {
            return Ok(PassedSockets(Vec::new()));
        }
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::with_capacity(passed.len());
        for index in 0..passed.len() {
            let name = format!("socket {} of {} from LISTEN_FDS", index + 1, passed.len());
            let told =
                |fault| format!("{name} can't be used: {fault}; pass listening TCP sockets only");
            let Some(socket) = passed.take_tcp_listener(index).map_err(told)? else { continue };
            socket.set_nonblocking(true).map_err(told)?;
            // It may only be bound; for one that listens, this is no more than its backlog.
            rustix::net::listen(&socket, BACKLOG).map_err(|fault| told(fault.into()))?;
            sockets.push((socket.local_addr().map_err(told)?, socket));
        }
        Ok(PassedSockets(sockets))
    }

    /// The socket for `listen`, if it was passed.
    pub(crate) fn bound(&mut self, listen: &Listen) -> Option<Bound> {
        let index = self.0.iter().position(|(address, _)| serves(*address, listen.address))?;
        let (address, listener) = self.0.swap_remove(index);
        Some(Bound { listener, listen: Listen { address, ..listen.clone() } })
    }

    /// # Errors
    /// One line that names what is left.
    pub(crate) fn none_left(&self) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = self.0.iter().map(|(address, _)| address.to_string()).collect();
        Err(format!(
            "LISTEN_FDS passes {}, which no listener of the settings wants; add it to \"listen\" or take it from the service manager's sockets",
            left.join(" and ")
        ))
    }
}

/// Whether a socket at `address` is the one that the settings call `wanted`: the same, or the IPv4 one
/// that `[::]` falls back to.
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
    fn a_socket_serves_its_own_address_and_ipv4_the_wildcard_too() {
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
