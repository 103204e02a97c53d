//! Reverse proxies in front of `serve`, and the clients for which they ask.
//!
//! Who is not trusted may write what it likes into `X-Forwarded-For` and `Forwarded` (RFC 7239), so both
//! count only on a connection from an address that `--trusted-proxy` names. Each proxy adds the address that
//! it was connected from at the end, so the list is read from there: as long as an address is that of a
//! trusted proxy, the one before it is who asked that proxy. The first that is not is the client.
//!
//! A proxy adds to one of the two fields and passes the other on as the client wrote it. Which one that is
//! can't be seen, so when both are there neither is believed, and the proxy itself counts as the client.

use std::net::{IpAddr, SocketAddr};

use super::listeners::Peer;
use crate::http::fields::Fields;

/// Addresses, as in `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads an address or a network.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse(text: &str) -> Result<Network, String> {
        let wrong = || format!("{text:?} is no address or network, as in 192.0.2.0/24");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        let base = masked(address, bits);
        if base != address {
            return Err(format!("{text} has bits beyond its length: say {base}/{bits}"));
        }
        Ok(Network { base, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.base.is_ipv4() && masked(address, self.bits) == self.base
    }
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

/// The proxies that are trusted.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    networks: Vec<Network>,
    unix: bool,
}

impl Proxies {
    /// Reads the values of `--trusted-proxy`: addresses, networks, and `unix` for all Unix sockets.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(crate) fn parse(values: &[String]) -> Result<Proxies, String> {
        let mut proxies = Proxies::default();
        for value in values {
            match value.as_str() {
                "unix" => proxies.unix = true,
                network => proxies.networks.push(Network::parse(network)?),
            }
        }
        Ok(proxies)
    }

    /// Whether the fields of a connection from there are believed.
    pub(crate) fn trust(&self, peer: Peer) -> bool {
        match peer {
            Peer::Unix => self.unix,
            Peer::Ip(ip) => self.trust_ip(ip),
        }
    }

    fn trust_ip(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The address of the client.
    pub(crate) fn client(&self, peer: Peer, fields: &Fields) -> IpAddr {
        let mut client = peer.ip();
        if !self.trust(peer) {
            return client;
        }
        let listed = |name: &str| fields.first(name).is_some();
        let chain = match (listed("x-forwarded-for"), listed("forwarded")) {
            (true, false) => list(fields, "x-forwarded-for").map(|items| x_forwarded_for(&items)),
            (false, true) => list(fields, "forwarded").and_then(|list| forwarded(&list)),
            _ => None,
        };
        for address in chain.unwrap_or_default().into_iter().rev() {
            let Some(address) = address else { break };
            client = address;
            if !self.trust_ip(client) {
                break;
            }
        }
        client
    }
}

/// All lines of a field as one list (RFC 9110 section 5.3); `None` if it is not text.
fn list(fields: &Fields, name: &str) -> Option<String> {
    let lines: Result<Vec<&str>, _> = fields.all(name).map(std::str::from_utf8).collect();
    lines.ok().map(|lines| lines.join(","))
}

/// The addresses of `X-Forwarded-For`; `None` in place of what is none.
fn x_forwarded_for(list: &str) -> Vec<Option<IpAddr>> {
    list.split(',').map(|item| node(item.trim_matches([' ', '\t']))).collect()
}

/// The addresses of the `for` parameters of `Forwarded`; `None` in place of `unknown`, of an obfuscated name,
/// and of an element without one. `None` at all if the list breaks the grammar, because then its end can't be
/// found either.
fn forwarded(list: &str) -> Option<Vec<Option<IpAddr>>> {
    let mut chain = Vec::new();
    for element in split_outside_quotes(list, ',')? {
        let mut address = None;
        for pair in split_outside_quotes(element, ';')? {
            let pair = pair.trim_matches([' ', '\t']);
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=')?;
            if name.eq_ignore_ascii_case("for") {
                // With a quoted pair it is no address.
                let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                address = node(quoted.unwrap_or(value));
            }
        }
        chain.push(address);
    }
    Some(chain)
}

/// Splits at `separator` where it is in no quoted string (RFC 9110 section 5.6.4); `None` if one has no end.
fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

/// Reads an address as proxies write it: alone, an IPv6 one in brackets, either with a port.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let alone = bracketed.unwrap_or(text).parse::<IpAddr>().ok();
    let alone = alone.filter(|ip| bracketed.is_none() || ip.is_ipv6());
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    alone.or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Peer, Proxies};
    use crate::http::head::HeadBuffer;

    fn client(proxies: &[&str], peer: &str, fields: &str) -> String {
        let proxies: Vec<String> = proxies.iter().map(|&value| value.to_owned()).collect();
        let proxies = Proxies::parse(&proxies).unwrap();
        let peer = if peer == "unix" { Peer::Unix } else { Peer::Ip(peer.parse().unwrap()) };
        let mut head = HeadBuffer::default();
        head.extend(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes());
        proxies.client(peer, &head.request().unwrap().unwrap().fields).to_string()
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_is_the_client() {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"];
        for (fields, wanted) in [
            ("", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
            ("x-forwarded-for: 198.51.100.1, 192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.0.0.2\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 10.0.0.2\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
            ("X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 2001:db8::7, 2001:db8:1::9\r\n", "2001:db8::7"),
            ("X-Forwarded-For: [2001:db8::7]:80\r\n", "2001:db8::7"),
            ("X-Forwarded-For: ::ffff:192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 192.0.2.7, unknown\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7, x, 10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: \r\n", "10.0.0.1"),
            ("Forwarded: for=192.0.2.7\r\n", "192.0.2.7"),
            ("Forwarded: for=192.0.2.43, for=192.0.2.7;proto=http;by=10.0.0.1\r\n", "192.0.2.7"),
            ("Forwarded: For=\"[2001:db8:cafe::17]:4711\"\r\n", "2001:db8:cafe::17"),
            ("Forwarded: for=\"[2001:db8::7]\", for=10.0.0.2\r\n", "2001:db8::7"),
            ("Forwarded: for=192.0.2.7;host=\"a,b;for=198.51.100.1\"\r\n", "192.0.2.7"),
            ("Forwarded: for=192.0.2.7, for=unknown\r\n", "10.0.0.1"),
            ("Forwarded: for=192.0.2.7, for=_hidden, for=10.0.0.2\r\n", "10.0.0.2"),
            ("Forwarded: for=192.0.2.7, proto=http\r\n", "10.0.0.1"),
            // Whoever leaves a quote open would swallow what the proxy adds.
            ("Forwarded: for=\"198.51.100.1, for=192.0.2.7\r\n", "10.0.0.1"),
            ("Forwarded: nonsense, for=192.0.2.7\r\n", "10.0.0.1"),
            // Only one of the two is the proxy's.
            ("X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.8\r\n", "10.0.0.1"),
        ] {
            assert_eq!(client(&trusted, "10.0.0.1", fields), wanted, "{fields}");
        }
    }

    #[test]
    fn who_is_not_trusted_is_itself_whatever_it_writes() {
        let fields = "X-Forwarded-For: 192.0.2.7\r\n";
        assert_eq!(client(&["10.0.0.0/8"], "11.0.0.1", fields), "11.0.0.1");
        assert_eq!(client(&[], "10.0.0.1", fields), "10.0.0.1");
        assert_eq!(client(&["127.0.0.1"], "unix", fields), "127.0.0.1", "a socket is no address");
        assert_eq!(client(&["unix"], "unix", fields), "192.0.2.7");
        assert_eq!(client(&["unix"], "127.0.0.1", fields), "127.0.0.1");
        assert_eq!(client(&["0.0.0.0/0"], "2001:db8::1", fields), "2001:db8::1");
        assert_eq!(client(&["::/0"], "2001:db8::1", fields), "192.0.2.7");
    }

    #[test]
    fn what_is_no_network_is_told_with_what_to_say() {
        let fault = |text: &str| Proxies::parse(&[text.to_owned()]).unwrap_err();
        assert!(fault("10.0.0.1/8").ends_with("say 10.0.0.0/8"));
        for text in ["", "proxy", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "10.0.0/8"] {
            assert!(fault(text).contains("is no address or network"), "{text}");
        }
    }
}
