//! Binds the listening sockets while the process still has its privileges.
//!
//! A socket that the service manager has bound already (`LISTEN_FDS`) replaces a bind.

use std::net::{SocketAddr, TcpListener};

use rustix::io::Errno;

use super::socket_activation::PassedSockets;
use crate::config::{Listen, Serves};
use crate::gate::Error;
use crate::gate::limits::BACKLOG;
use crate::log::Log;
use crate::util::tcp_listen;

/// A socket that is bound and not served yet, so that privileges can be dropped in between.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) listen: Listen,
}

impl Bound {
    /// Takes the sockets that the service manager has passed (`sd_listen_fds(3)`) and binds the others. A passed
    /// socket that no listener uses is an error, because its clients would wait for ever.
    ///
    /// # Errors
    /// One line that names the address, the reason and the next step.
    pub(crate) fn all(listen: &[Listen], log: &Log) -> Result<Vec<Bound>, Error> {
        let mut passed = PassedSockets::take()?;
        let bound = listen
            .iter()
            .map(|listen| match passed.take_for(listen.address) {
                Some((address, listener)) => {
                    Ok(Bound { listener, listen: Listen { address, ..listen.clone() } })
                }
                None => Bound::new(listen, log),
            })
            .collect::<Result<_, _>>()?;
        passed.check_unused()?;
        Ok(bound)
    }

    /// Binds the address of `listen`. `[::]` accepts IPv4 too, and falls back to `0.0.0.0` without IPv6. An
    /// address that does not exist yet, because DHCP is late or IPv6 still checks for a duplicate, is bound too
    /// and served once it exists.
    ///
    /// # Errors
    /// One line that names the address, the reason and the next step.
    fn new(listen: &Listen, log: &Log) -> Result<Bound, Error> {
        let mut address = listen.address;
        let bind = |address, absent| tcp_listen::listen(address, BACKLOG, false, absent);
        let bound = match bind(address, false) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
                if address.ip() == std::net::Ipv6Addr::UNSPECIFIED =>
            {
                address = SocketAddr::from(([0, 0, 0, 0], address.port()));
                bind(address, false)
            }
            Err(Errno::ADDRNOTAVAIL) => bind(address, true).inspect(|_| {
                log.warn(format_args!(
                    "{address} is not an address of this machine yet; it is served as soon as it is assigned"
                ));
            }),
            bound => bound,
        };
        let listener = bound.map_err(|error| Error(tcp_listen::refusal(address, error)))?;
        let mut listen = listen.clone();
        if let Ok(local) = listener.local_addr() {
            listen.address = local; // with the port that the kernel chose for port 0
        }
        Ok(Bound { listener, listen })
    }

    /// `address (serves, scheme)`, for the log.
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
