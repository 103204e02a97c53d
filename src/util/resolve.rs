//! Resolves the host name of a service to addresses.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

/// The addresses of this machine if `host` is `localhost` or below it, which mean this machine whatever a
/// name server says (RFC 6761 section 6.3). An image may have neither a name server nor `/etc/hosts`.
pub(crate) fn this_machine(host: &str, port: u16) -> Option<[SocketAddr; 2]> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next()?;
    last.eq_ignore_ascii_case("localhost").then(|| {
        [
            SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        ]
    })
}

/// All addresses of `host`, in the order in which to try them. Names other than those of
/// [`this_machine`] are looked up, which may block.
pub(crate) fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match this_machine(host, port) {
        Some(known) => Ok(known.to_vec()),
        None => Ok((host, port).to_socket_addrs()?.collect()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{addresses, this_machine};

    #[test]
    fn localhost_and_what_is_below_it_is_this_machine_and_nothing_else_is() {
        for host in ["localhost", "LocalHost", "localhost.", "engine.localhost", "a.b.localhost."] {
            let found = addresses(host, 7082).unwrap();
            let text: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(text, ["[::1]:7082", "127.0.0.1:7082"], "{host}");
        }
        for host in ["localhost.example", "mylocalhost", "localhost..", "", "."] {
            assert!(this_machine(host, 1).is_none(), "{host}");
        }
    }
}
