//! Where a client comes from, as far as limits count what comes from there.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv6 host has a whole /64 to itself, so that counts as one address.
pub(crate) fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}
