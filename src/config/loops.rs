//! Detects services that are the appliance itself, to which a request would return for ever.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::section::Diagnostics;
use super::{CONTROL_SOCKET, Config, ServiceAddress, USAGE_SOCKET};
use crate::util::resolve;

/// Reports each service whose address is one of our own, as far as the settings tell; the machine's
/// addresses other than loopback are not known here.
pub(super) fn note(config: &Config, errors: &Diagnostics) {
    for service in &config.services {
        if let Some(ours) = own_listener(config, &service.address) {
            errors.note(
                &format!("services.{}.address", service.name),
                format_args!(
                    "{} is the appliance's own ({ours}), so each request would come back to it; name the address of the service",
                    service.address
                ),
            );
        }
    }
}

/// The listener or socket of ours that accepts connections to `address`.
fn own_listener(config: &Config, address: &ServiceAddress) -> Option<String> {
    match address {
        ServiceAddress::Unix(path) => [CONTROL_SOCKET, USAGE_SOCKET]
            .into_iter()
            .find(|socket| config.run_dir.join(socket) == *path)
            .map(|socket| format!("{socket} in \"run_dir\"")),
        ServiceAddress::Tcp { host, port } => {
            let known = match host.parse::<IpAddr>() {
                Ok(ip) => vec![ip],
                Err(_) => resolve::this_machine(host, *port)?.map(|known| known.ip()).to_vec(),
            };
            let takes = |listener: IpAddr| known.iter().any(|ip| takes(listener, *ip));
            let mut listeners = config.listen.iter().map(|listen| listen.address);
            let ours = listeners.find(|ours| ours.port() == *port && takes(ours.ip()))?;
            Some(format!("\"listen\" has {ours}"))
        }
    }
}

/// Whether a connection to `ip` reaches a socket that listens at `listener`.
fn takes(listener: IpAddr, ip: IpAddr) -> bool {
    let ip = match ip.to_canonical() {
        // Linux connects these to this machine.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    match listener.to_canonical() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => ip.is_loopback(), // IPv4 too
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => ip.is_ipv4() && ip.is_loopback(),
        listener => listener == ip,
    }
}
