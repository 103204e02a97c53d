//! The host name and addresses of this machine, for the default certificate.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use crate::util::host_name::{LONGEST_LABEL, LONGEST_NAME};

/// A machine with more has many bridges, and its certificate would no longer fit a packet.
const MOST_ADDRESSES: usize = 32;
/// Used if the host name can't be in a certificate.
const FALLBACK: &str = "appliance";
/// RFC 5280 appendix A, `ub-common-name`.
pub(super) const LONGEST_COMMON_NAME: usize = 64;

/// The permanent addresses of the interfaces that are up, first those used for outgoing connections;
/// without loopback.
pub(crate) fn of_this_machine() -> Vec<IpAddr> {
    let mut addresses = Host::detect().addresses;
    addresses.retain(|address| !address.is_loopback());
    addresses
}

/// The names under which clients may reach the appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// For the certificate's subject; at most 64 characters.
    pub(super) common_name: String,
    /// Host names, most specific first, `localhost` last.
    pub(super) names: Vec<String>,
    /// Addresses of the interfaces that are up: first those used for outgoing connections, loopback last.
    pub(super) addresses: Vec<IpAddr>,
}

impl Host {
    /// Asks the kernel. What it doesn't tell is left out, because a certificate with fewer names is better
    /// than none.
    pub(super) fn detect() -> Host {
        let system = rustix::system::uname();
        Host::from(
            &system.nodename().to_string_lossy(),
            &fs::read_to_string("/proc/net/fib_trie").unwrap_or_default(),
            &fs::read_to_string("/proc/net/if_inet6").unwrap_or_default(),
            &outgoing(),
        )
    }

    fn from(nodename: &str, fib_trie: &str, if_inet6: &str, outgoing: &[IpAddr]) -> Host {
        let full = host_name(nodename);
        let short = full.as_deref().and_then(|full| full.split('.').next()).map(str::to_owned);
        let fits = |name: &&String| name.len() <= LONGEST_COMMON_NAME;
        let common_name = full.as_ref().filter(fits).or(short.as_ref()).cloned();
        let mut names: Vec<String> = Vec::new();
        for name in [full, short, Some("localhost".to_owned())].into_iter().flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in local_ipv4(fib_trie).into_iter().chain(local_ipv6(if_inet6)) {
            if !address.is_loopback() && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        // The order is stable and does not depend on temporary addresses.
        addresses.sort_by_key(|address| {
            outgoing.iter().position(|first| first == address).unwrap_or(outgoing.len())
        });
        addresses.truncate(MOST_ADDRESSES);
        addresses.extend([Ipv4Addr::LOCALHOST.into(), IpAddr::from(Ipv6Addr::LOCALHOST)]);
        Host { common_name: common_name.unwrap_or_else(|| FALLBACK.to_owned()), names, addresses }
    }
}

/// The source addresses of outgoing connections. Other machines reach this one by them, unlike by the
/// addresses of its container bridges. Connecting a UDP socket selects one and sends nothing; without a
/// route there is none.
fn outgoing() -> Vec<IpAddr> {
    // Documentation addresses (RFC 5737 and RFC 3849), which are routed like any distant one.
    const FAR_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let from = |any: IpAddr, far: IpAddr| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    let v4 = from(Ipv4Addr::UNSPECIFIED.into(), FAR_V4.into());
    let v6 = from(Ipv6Addr::UNSPECIFIED.into(), FAR_V6.into());
    v4.into_iter().chain(v6).collect()
}

/// The host name without the characters that a DNS name can't hold; `None` if nothing is left or the name
/// is the kernel's `(none)` or `localhost`, which mean that none was set.
fn host_name(nodename: &str) -> Option<String> {
    if nodename == "(none)" {
        return None;
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let clean = |label: &str| {
        let label: String = label.chars().filter(allowed).take(LONGEST_LABEL).collect();
        label.trim_matches('-').to_ascii_lowercase()
    };
    let labels: Vec<String> =
        nodename.split('.').map(clean).filter(|label| !label.is_empty()).collect();
    let name = labels.join(".");
    (!name.is_empty() && name.len() <= LONGEST_NAME && name != "localhost").then_some(name)
}

/// `/proc/net/fib_trie` names an address (`|-- 192.0.2.1`) and then its kind (`/32 host LOCAL`).
fn local_ipv4(fib_trie: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut named: Option<Ipv4Addr> = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            named = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(named.map(IpAddr::from));
        }
    }
    found
}

/// A line of `/proc/net/if_inet6` is address, interface, prefix length, scope, flags, name.
///
/// Link-local addresses need an interface name, and temporary ones (RFC 8981) change within days:
/// neither belongs in a certificate.
fn local_ipv6(if_inet6: &str) -> Vec<IpAddr> {
    const SCOPE_LINK: u8 = 0x20;
    const FLAG_TEMPORARY: u8 = 0x01;
    let parse = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let scope = u8::from_str_radix(fields.nth(2)?, 16).ok()?;
        let flags = u8::from_str_radix(fields.next()?, 16).ok()?;
        let lasting = scope != SCOPE_LINK && flags & FLAG_TEMPORARY == 0;
        lasting.then(|| IpAddr::from(Ipv6Addr::from_bits(address)))
    };
    if_inet6.lines().filter_map(parse).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fmt::Write as _;
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Host, MOST_ADDRESSES, host_name};

    const FIB_TRIE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
  +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 192.0.2.7
           /32 host LOCAL
";
    const IF_INET6: &str = "\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
20010db800000000aaaaaaaaaaaaaaaa 02 40 00 01     eth0
fe80000000000000000000000000abcd 02 40 20 80     eth0
garbage
";

    #[test]
    fn names_and_lasting_addresses_are_found_once_each() {
        let host = Host::from("Appliance-1.example.com", FIB_TRIE, IF_INET6, &[]);
        assert_eq!(host.common_name, "appliance-1.example.com");
        assert_eq!(host.names, ["appliance-1.example.com", "appliance-1", "localhost"]);
        let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.7", "2001:db8::7", "127.0.0.1", "::1"]);
    }

    #[test]
    fn the_address_for_going_out_is_first_and_never_left_out() {
        let bridges = (0..MOST_ADDRESSES).fold(String::new(), |mut text, number| {
            let _ = write!(text, "|-- 10.42.{number}.1\n/32 host LOCAL\n");
            text
        });
        let fib_trie = bridges + FIB_TRIE;
        let ours = IpAddr::from([192, 0, 2, 7]);
        let temporary: IpAddr = "2001:db8::aaaa:aaaa:aaaa:aaaa".parse().unwrap();
        let lasting: IpAddr = "2001:db8::7".parse().unwrap();
        let bridge = |number: u8| IpAddr::from(Ipv4Addr::new(10, 42, number, 1));

        let host = Host::from("x", &fib_trie, IF_INET6, &[ours, lasting]);
        assert_eq!(host.addresses[..4], [ours, lasting, bridge(0), bridge(1)]);
        assert_eq!(host.addresses.len(), MOST_ADDRESSES + 2);
        assert_eq!(host.addresses.iter().filter(|address| **address == ours).count(), 1);

        let host = Host::from("x", &fib_trie, IF_INET6, &[temporary, Ipv4Addr::LOCALHOST.into()]);
        assert_eq!(host.addresses[..2], [bridge(0), bridge(1)], "neither lasts");
    }

    #[test]
    fn a_machine_without_a_usable_name_is_called_appliance() {
        for odd in ["", "(none)", "localhost", "___", "ü", "..."] {
            let host = Host::from(odd, "", "", &[]);
            assert_eq!((host.common_name.as_str(), host.names.len()), ("appliance", 1), "{odd}");
        }
    }

    #[test]
    fn odd_host_names_are_cleaned_until_they_fit_a_certificate() {
        assert_eq!(host_name("my host_1.lan.").as_deref(), Some("myhost1.lan"));
        assert_eq!(host_name("-a-.b").as_deref(), Some("a.b"));
        assert_eq!(host_name(&"x".repeat(99)).map(|name| name.len()), Some(63));
        let long = Host::from(&format!("short.{}.example", "x".repeat(63)), "", "", &[]);
        assert_eq!(long.common_name, "short");
    }
}
