//! What the kernel says of the network now, whoever has set it: read from `/proc/net/route` and
//! `/etc/resolv.conf`, because the daemon may not ask the kernel's routing socket.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

/// The network in force.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// Address and netmask; absent if no interface has any.
    pub(crate) address: Option<(Ipv4Addr, Ipv4Addr)>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) nameservers: Vec<IpAddr>,
    pub(crate) hostname: String,
}

impl InForce {
    /// Of this machine, whose `addresses` have the one for outgoing connections first.
    pub(crate) fn read(addresses: &[IpAddr]) -> InForce {
        let file = |path| fs::read_to_string(path).unwrap_or_default();
        let routes = routes(&file("/proc/net/route"));
        let address = addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some((*address, mask_of(*address, &routes))),
            IpAddr::V6(_) => None,
        });
        InForce {
            address,
            gateway: routes.iter().find_map(|route| {
                let default = route.network.is_unspecified() && route.mask.is_unspecified();
                default.then_some(route.gateway).filter(|gateway| !gateway.is_unspecified())
            }),
            nameservers: nameservers(&file("/etc/resolv.conf")),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Route {
    network: Ipv4Addr,
    gateway: Ipv4Addr,
    mask: Ipv4Addr,
}

/// A line of `/proc/net/route` is interface, destination, gateway, flags, three counters, mask, and more;
/// addresses are hexadecimal numbers in the machine's byte order.
fn routes(text: &str) -> Vec<Route> {
    let address = |word: &str| {
        u32::from_str_radix(word, 16).ok().map(|number| Ipv4Addr::from(number.to_ne_bytes()))
    };
    let route = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        Some(Route {
            network: address(words.get(1)?)?,
            gateway: address(words.get(2)?)?,
            mask: address(words.get(7)?)?,
        })
    };
    text.lines().filter_map(route).collect()
}

/// The mask of the smallest network to which this machine sends directly and which holds `address`.
fn mask_of(address: Ipv4Addr, routes: &[Route]) -> Ipv4Addr {
    let holds = |route: &&Route| {
        route.gateway.is_unspecified()
            && !route.mask.is_unspecified()
            && address.to_bits() & route.mask.to_bits() == route.network.to_bits()
    };
    let masks = routes.iter().filter(holds).map(|route| route.mask);
    masks.max().unwrap_or(Ipv4Addr::BROADCAST)
}

fn nameservers(resolv_conf: &str) -> Vec<IpAddr> {
    let servers = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    });
    servers.take(3).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{mask_of, nameservers, routes};

    const ROUTE: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_routes_tell_gateway_and_mask() {
        let routes = routes(ROUTE);
        assert_eq!(routes.len(), 2, "the heading is none");
        assert_eq!(routes.first().map(|route| route.gateway), Some(Ipv4Addr::new(192, 0, 2, 1)));
        let mask = |address: [u8; 4]| mask_of(address.into(), &routes);
        assert_eq!(mask([192, 0, 2, 7]), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(mask([198, 51, 100, 7]), Ipv4Addr::BROADCAST, "an address without a network");
    }

    #[test]
    fn name_servers_are_in_their_order_and_nothing_else() {
        let text = "# nameserver 192.0.2.9\nsearch lan\nnameserver 192.0.2.53\nnameserver\t2001:db8::53 #x\nnameserver x\n";
        let found: Vec<String> = nameservers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.53", "2001:db8::53"]);
    }
}
