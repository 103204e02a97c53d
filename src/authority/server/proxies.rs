//! Reverse proxies in front of `serve`: those that `--trusted-proxy` names, whose word about their clients is
//! taken; see [`crate::http::forwarded`].

use std::net::IpAddr;

use super::listeners::Peer;
use crate::http::fields::Fields;
use crate::http::forwarded;
use crate::util::networks::{Network, Networks, NotANetwork};

/// The proxies that are trusted.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    networks: Networks,
    unix: bool,
}

impl Proxies {
    /// Reads the values of `--trusted-proxy`: addresses, networks, and `unix` for all Unix sockets.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(crate) fn parse(values: &[String]) -> Result<Proxies, String> {
        let networks = values.iter().filter(|value| *value != "unix").map(|text| {
            Network::parse(text).map_err(|error| match error {
                NotANetwork::Malformed => {
                    format!("{text:?} is no address or network, as in 192.0.2.0/24")
                }
                NotANetwork::BitsBeyond(meant) => {
                    format!("{text} has bits beyond its length: say {meant}")
                }
            })
        });
        let unix = values.iter().any(|value| value == "unix");
        Ok(Proxies { networks: networks.collect::<Result<_, _>>()?, unix })
    }

    /// Whether the fields of a connection from there are believed.
    pub(crate) fn trust(&self, peer: Peer) -> bool {
        match peer {
            Peer::Unix => self.unix,
            Peer::Ip(ip) => self.networks.contains(ip),
        }
    }

    /// The address of the client; that of the proxy if the client's is not known.
    pub(crate) fn client(&self, peer: Peer, fields: &Fields) -> IpAddr {
        if !self.trust(peer) {
            return peer.ip();
        }
        forwarded::client(peer.ip(), fields, |address| self.networks.contains(address)).address
    }
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
    fn a_client_that_is_not_known_counts_as_the_proxy() {
        let trusted = ["10.0.0.0/8"];
        for (fields, wanted) in [
            ("", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
            ("Forwarded: for=192.0.2.7, for=10.0.0.2\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 192.0.2.7, unknown\r\n", "10.0.0.1"),
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
