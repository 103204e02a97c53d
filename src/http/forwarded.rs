//! The client for which a trusted reverse proxy asks: `X-Forwarded-For` and `Forwarded` (RFC 7239).
//!
//! Who is not trusted may write what it likes into them, so the caller asks this of trusted proxies alone. Each
//! proxy adds the address that it was connected from at the end, so the list is read from there: as long as an
//! address is that of a trusted proxy, the one before it is who asked that proxy. The first that is not is the
//! client.
//!
//! A proxy adds to one of the two fields and passes the other on as the client wrote it. Which one that is
//! can't be seen, so when both are there neither is believed.

use std::net::{IpAddr, SocketAddr};

use super::fields::Fields;
use crate::util::networks::Networks;

/// Who asks, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// The client's, or that of the last trusted proxy where the client's is not known. An IPv4-mapped IPv6
    /// address is the IPv4 address.
    pub(crate) address: IpAddr,
    pub(crate) identity: Identity,
}

/// Whose the address of a [`Client`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The client's.
    Known,
    /// That of a proxy that names no client: it may ask for itself, as for a health check.
    Proxy,
    /// That of a proxy that names a client who can't be told from what it says.
    Hidden,
}

impl Client {
    /// The client is at `address`.
    pub(crate) fn known(address: IpAddr) -> Client {
        Client { address: address.to_canonical(), identity: Identity::Known }
    }

    /// True if a list of who may come lets the client in. A client that is not known is in none; a proxy that
    /// asks for itself is where the list has its very address, because a network around it is there for the
    /// clients, whom a proxy may have forgotten to name.
    pub(crate) fn is_in(&self, list: &Networks) -> bool {
        match self.identity {
            Identity::Known => list.contains(self.address),
            Identity::Proxy => list.names(self.address),
            Identity::Hidden => false,
        }
    }
}

/// The client of a request with `fields` that came from `proxy`, which is trusted as `trusts` are.
pub(crate) fn client(proxy: IpAddr, fields: &Fields, trusts: impl Fn(IpAddr) -> bool) -> Client {
    let listed = |name: &str| fields.first(name).is_some();
    let chain = match (listed("x-forwarded-for"), listed("forwarded")) {
        (false, false) => return at(proxy, Identity::Proxy),
        (true, false) => list(fields, "x-forwarded-for").map(|items| x_forwarded_for(&items)),
        (false, true) => list(fields, "forwarded").and_then(|list| forwarded(&list)),
        (true, true) => None,
    };
    let mut client = at(proxy, Identity::Hidden);
    for address in chain.unwrap_or_default().into_iter().rev() {
        let Some(address) = address else { return at(client.address, Identity::Hidden) };
        client = at(address, Identity::Known);
        if !trusts(client.address) {
            break;
        }
    }
    client
}

fn at(address: IpAddr, identity: Identity) -> Client {
    Client { address: address.to_canonical(), identity }
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
        let (mut address, mut seen) = (None, false);
        for pair in split_outside_quotes(element, ';')? {
            let pair = pair.trim_matches([' ', '\t']);
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=')?;
            if name.eq_ignore_ascii_case("for") {
                // Each parameter must not occur more than once (RFC 7239 section 4).
                if std::mem::replace(&mut seen, true) {
                    return None;
                }
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

    use super::{Client, Identity, client};
    use crate::http::head::HeadBuffer;
    use crate::util::networks::{Network, Networks};

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    fn asks(fields: &str) -> Client {
        let trusted = networks(&["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"]);
        let mut head = HeadBuffer::default();
        head.extend(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes());
        let head = head.request().unwrap().unwrap();
        client("10.0.0.1".parse().unwrap(), &head.fields, |address| trusted.contains(address))
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_is_the_client() {
        for (fields, wanted) in [
            ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
            ("x-forwarded-for: 198.51.100.1, 192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.0.0.2\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 10.0.0.2\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
            ("X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 2001:db8::7, 2001:db8:1::9\r\n", "2001:db8::7"),
            ("X-Forwarded-For: [2001:db8::7]:80\r\n", "2001:db8::7"),
            ("X-Forwarded-For: [2001:db8::7]\r\n", "2001:db8::7"),
            ("X-Forwarded-For: ::ffff:192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 192.0.2.7, ::ffff:10.0.0.2\r\n", "192.0.2.7"),
            // What a client has written before counts for nothing.
            ("X-Forwarded-For: unknown, , x y, 192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For:\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
            ("X-Real-IP: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
            ("X_Forwarded_For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
            ("Forwarded: for=192.0.2.7\r\n", "192.0.2.7"),
            ("Forwarded: for=192.0.2.43, for=192.0.2.7;proto=http;by=10.0.0.1\r\n", "192.0.2.7"),
            ("Forwarded: For=\"[2001:db8:cafe::17]:4711\"\r\n", "2001:db8:cafe::17"),
            ("Forwarded: for=\"[2001:db8::7]\", for=10.0.0.2\r\n", "2001:db8::7"),
            ("Forwarded: for=192.0.2.7;host=\"a,b;for=198.51.100.1\"\r\n", "192.0.2.7"),
            ("Forwarded: for=unknown, for=192.0.2.7\r\n", "192.0.2.7"),
        ] {
            assert_eq!(asks(fields), Client::known(wanted.parse().unwrap()), "{fields}");
        }
    }

    #[test]
    fn who_can_not_be_told_is_not_guessed() {
        for (fields, last) in [
            ("X-Forwarded-For: \r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7, unknown\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7,\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7, x, 10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: 192.0.2.7, , 10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: [192.0.2.7]\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7:99999\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.007\r\n", "10.0.0.1"),
            ("X-Forwarded-For: \"192.0.2.7\"\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.0/24\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7\u{a0}\r\n", "10.0.0.1"),
            ("Forwarded: for=192.0.2.7, for=unknown\r\n", "10.0.0.1"),
            ("Forwarded: for=192.0.2.7, for=_hidden, for=10.0.0.2\r\n", "10.0.0.2"),
            ("Forwarded: for=192.0.2.7, proto=http\r\n", "10.0.0.1"),
            ("Forwarded: for=192.0.2.7;for=192.0.2.8\r\n", "10.0.0.1"),
            // Whoever leaves a quote open would swallow what the proxy adds.
            ("Forwarded: for=\"198.51.100.1, for=192.0.2.7\r\n", "10.0.0.1"),
            ("Forwarded: nonsense, for=192.0.2.7\r\n", "10.0.0.1"),
            // Only one of the two is the proxy's.
            ("X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n", "10.0.0.1"),
        ] {
            let wanted = Client { address: last.parse().unwrap(), identity: Identity::Hidden };
            assert_eq!(asks(fields), wanted, "{fields}");
        }
    }

    #[test]
    fn a_proxy_that_names_nobody_is_let_in_only_by_its_own_address() {
        let health_check = asks("");
        assert_eq!(health_check.identity, Identity::Proxy);
        assert!(!health_check.is_in(&networks(&["10.0.0.0/8"])));
        assert!(health_check.is_in(&networks(&["192.0.2.0/24", "10.0.0.1"])));
        let hidden = asks("X-Forwarded-For: unknown\r\n");
        assert!(!hidden.is_in(&networks(&["10.0.0.1", "0.0.0.0/0", "::/0"])));
        assert!(asks("X-Forwarded-For: 192.0.2.7\r\n").is_in(&networks(&["192.0.2.0/24"])));
    }
}
