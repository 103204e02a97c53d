//! Where the gate listens, and what each listener serves.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::networks::networks;
use super::section::Field;
use crate::util::networks::Networks;
use crate::util::words::words;

/// A listener of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    /// Port 0 selects a free port.
    pub(crate) address: SocketAddr,
    /// Which paths are reachable.
    pub(crate) serves: Serves,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// Not used on a TLS listener, where it is [`HttpDisabled::Close`].
    pub(crate) http_disabled: HttpDisabled,
    /// Who may come; everybody if it is empty.
    pub(crate) allow: Networks,
    /// Reverse proxies whose word about their clients is taken.
    pub(crate) trusted_proxies: Networks,
    /// Connections begin with a PROXY protocol header, and come from `trusted_proxies` alone, which is not
    /// empty then.
    pub(crate) proxy_protocol: bool,
}

words! {
    /// What is reachable on a listener.
    pub(crate) enum Serves {
        /// Everything, by path.
        All = "all",
        /// The management API alone.
        Management = "management",
        /// Monitoring alone, without its prefix.
        Monitoring = "monitoring",
        /// The REST speech service alone.
        Speech = "speech",
        /// The realtime speech service alone.
        Realtime = "realtime",
    }
}

words! {
    /// What a plain listener does while plain HTTP is off.
    pub(crate) enum HttpDisabled {
        /// Accepts the connection and closes it without a byte (M1-19).
        Close = "close",
        /// Answers 301 or 308 to the HTTPS address (M2-13, MA-19).
        Redirect = "redirect",
    }
}

/// Most listeners; each costs a thread.
const MOST_LISTENERS: usize = 64;

impl Listen {
    pub(super) fn plain(
        address: SocketAddr,
        serves: Serves,
        http_disabled: HttpDisabled,
    ) -> Listen {
        Listen {
            address,
            serves,
            tls: false,
            http_disabled,
            allow: Networks::default(),
            trusted_proxies: Networks::default(),
            proxy_protocol: false,
        }
    }

    pub(super) fn tls(address: SocketAddr, serves: Serves) -> Listen {
        Listen { tls: true, ..Listen::plain(address, serves, HttpDisabled::Close) }
    }
}

pub(super) fn parse(field: Field<'_>) -> Option<Vec<Listen>> {
    if !(1..=MOST_LISTENERS).contains(&field.count()) {
        field.note(format_args!("expected 1 to {MOST_LISTENERS} listeners; without any, the appliance could not be reached"));
        return None;
    }
    let mut taken = HashSet::new();
    Some(field.items()?.into_iter().filter_map(|item| listener(item, &mut taken)).collect())
}

fn listener(item: Field<'_>, taken: &mut HashSet<SocketAddr>) -> Option<Listen> {
    let mut section = item.section()?;
    let address = section.require("address").and_then(|field| {
        field.text_as(
            "an IP address and a port, such as \"[::]:80\" or \"127.0.0.1:8080\"",
            |text| text.parse::<SocketAddr>().ok(),
        )
    });
    let serves = section.require("serves").and_then(|field| field.choice(Serves::NAMES));
    let tls = section.take("tls").and_then(Field::flag).unwrap_or(false);
    let http_disabled = section.take("http_disabled").map(|field| {
        if tls {
            field.note("has no meaning on a listener with \"tls\": true; leave it out");
        }
        field.choice(HttpDisabled::NAMES)
    });
    let allow = section.take("allow").and_then(networks).unwrap_or_default();
    let trusted_proxies = section.take("trusted_proxies").map(networks);
    let proxy_protocol = section.take("proxy_protocol").is_some_and(|field| {
        if trusted_proxies.is_none() && field.is_true() {
            field.note(
                "needs \"trusted_proxies\": without them, whoever comes could claim any address",
            );
        }
        field.flag() == Some(true)
    });
    if let Some(address) = address
        && address.port() != 0
        && !taken.insert(address)
    {
        section.note(format_args!("an earlier listener has the address {address} already"));
    }
    section.end();
    Some(Listen {
        address: address?,
        serves: serves?,
        tls,
        http_disabled: http_disabled.flatten().unwrap_or(HttpDisabled::Close),
        allow,
        trusted_proxies: trusted_proxies.flatten().unwrap_or_default(),
        proxy_protocol,
    })
}
