//! The part of a client's address by which limits count clients.

use std::net::{IpAddr, Ipv6Addr};

/// The IPv4 address, or the /64 of an IPv6 address, because one IPv6 host has a whole /64.
pub(crate) fn client_prefix(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}
