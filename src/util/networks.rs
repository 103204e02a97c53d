//! Addresses and networks in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3), and lists of them.
//!
//! An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), which is how a socket for both families shows an
//! IPv4 client, is the IPv4 address, in a list and where one is looked up. So `::/0` is all of IPv6 and nothing
//! of IPv4.

use std::fmt;
use std::net::IpAddr;

/// Bits of the prefix `::ffff:0:0/96` of an IPv4-mapped address.
const MAPPED_BITS: u32 = 96;

/// An address, or a network as in `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    base: IpAddr,
    bits: u32,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotANetwork {
    Malformed,
    /// It has bits beyond its length, as `10.0.0.1/8` has; this network is what it may mean.
    BitsBeyond(Network),
}

impl Network {
    /// Reads an address or a network.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Network, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork::Malformed)?;
        let bits = match bits {
            None => Some(width(address)),
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok(),
            Some(_) => None,
        };
        let bits = bits.filter(|bits| *bits <= width(address)).ok_or(NotANetwork::Malformed)?;
        let network = Network { base: masked(address, bits), bits }.canonical();
        if masked(address, bits) == address {
            Ok(network)
        } else {
            Err(NotANetwork::BitsBeyond(network))
        }
    }

    fn canonical(self) -> Network {
        match (self.base.to_canonical(), self.bits.checked_sub(MAPPED_BITS)) {
            (v4 @ IpAddr::V4(_), Some(bits)) if self.base.is_ipv6() => Network { base: v4, bits },
            _ => self,
        }
    }

    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.base.is_ipv4() && masked(address, self.bits) == self.base
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits {
            bits if bits == width(self.base) => self.base.fmt(f),
            bits => write!(f, "{}/{bits}", self.base),
        }
    }
}

/// A list of addresses and networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Networks(Vec<Network>);

impl Networks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// True if the list has this very address, and not only a network around it.
    pub(crate) fn names(&self, address: IpAddr) -> bool {
        let base = address.to_canonical();
        self.0.contains(&Network { base, bits: width(base) })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Network> {
        self.0.iter()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<T: IntoIterator<Item = Network>>(networks: T) -> Networks {
        Networks(networks.into_iter().collect())
    }
}

/// The bits of an address of this family.
fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all but the first `bits` set to 0.
fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Network, Networks, NotANetwork};

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_network_ends_where_its_length_says() {
        #[rustfmt::skip]
        let table: &[(&str, &[&str], &[&str])] = &[
            // network, inside, outside
            ("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0", "::a00:1"]),
            ("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127", "192.0.3.0"]),
            ("192.0.2.6/31", &["192.0.2.6", "192.0.2.7"], &["192.0.2.5", "192.0.2.8"]),
            ("192.0.2.7", &["192.0.2.7", "::ffff:192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], &["::", "::1"]),
            ("fd00::/8", &["fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], &["fc00::", "fe00::"]),
            ("2001:db8::/33", &["2001:db8:7fff:ffff::"], &["2001:db8:8000::"]),
            ("::/0", &["::", "::1", "2001:db8::1"], &["10.0.0.1", "::ffff:10.0.0.1"]),
            ("::1", &["::1"], &["::2", "127.0.0.1", "0.0.0.1"]),
            ("::ffff:10.0.0.0/104", &["10.1.2.3", "::ffff:10.1.2.3"], &["11.0.0.0", "::1"]),
            ("::ffff:192.0.2.7", &["192.0.2.7"], &["192.0.2.8"]),
        ];
        for (network, inside, outside) in table {
            let list = networks(&[network]);
            for address in *inside {
                assert!(list.contains(address.parse().unwrap()), "{network} {address}");
            }
            for address in *outside {
                assert!(!list.contains(address.parse().unwrap()), "{network} {address}");
            }
        }
        assert!(!networks(&[]).contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_network_around_an_address_does_not_name_it() {
        let list = networks(&["10.0.0.0/8", "192.0.2.7/32", "fd00::1"]);
        for (address, named) in [
            ("10.0.0.0", false),
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("fd00::1", true),
        ] {
            assert_eq!(list.names(address.parse().unwrap()), named, "{address}");
        }
    }

    #[test]
    fn a_network_is_shown_as_it_can_be_read_again() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("FD00::/8", "fd00::/8"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
        ] {
            let network = Network::parse(text).unwrap();
            assert_eq!(network.to_string(), shown);
            assert_eq!(Network::parse(shown), Ok(network));
        }
    }

    #[test]
    fn what_is_no_network_is_not_guessed() {
        for text in [
            "",
            "proxy",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0/8",
            "fe80::1%eth0",
            "[::1]",
            "10.0.0.1:80",
            " 10.0.0.1",
            "010.0.0.1",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(Network::parse(text), Err(NotANetwork::Malformed), "{text}");
        }
        let meant = Network::parse("10.0.0.0/8").unwrap();
        assert_eq!(Network::parse("10.0.0.1/8"), Err(NotANetwork::BitsBeyond(meant)));
        assert_eq!(Network::parse("::ffff:10.0.0.1/104"), Err(NotANetwork::BitsBeyond(meant)));
    }
}
