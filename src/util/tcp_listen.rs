//! Listens on a TCP address.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

/// Opens a listening socket that does not block; the kernel queues up to `backlog` connections. With `only_ipv6`,
/// `[::]` takes no IPv4; with `absent`, the address may be one that the machine does not have.
///
/// # Errors
/// That of the system; see [`refusal`].
pub(crate) fn listen(
    address: SocketAddr,
    backlog: i32,
    only_ipv6: bool,
    absent: bool,
) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, only_ipv6)?;
    }
    if absent && address.is_ipv6() {
        sockopt::set_ipv6_freebind(&socket, true)?;
    } else if absent {
        sockopt::set_ip_freebind(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    Ok(TcpListener::from(socket))
}

/// One line that names the address, the reason and the next step.
pub(crate) fn refusal(address: SocketAddr, error: Errno) -> String {
    let port = address.port();
    let next = match error {
        Errno::ADDRINUSE => format!(" ('ss -ltnp sport = :{port}' shows by whom)"),
        Errno::ACCESS => " (ports below 1024 need root or CAP_NET_BIND_SERVICE)".to_owned(),
        _ => String::new(),
    };
    format!("cannot listen on {address}: {}{next}", io::Error::from(error))
}
