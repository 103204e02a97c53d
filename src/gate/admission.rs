//! Who may come, by address: `allow` and `trusted_proxies` of a listener, and `management_from`.
//!
//! A connection from elsewhere is closed when it is accepted, without a byte. A trusted proxy may always
//! connect; each of its requests is judged by the client that it names, and answered with 403, because a proxy
//! that gets no answer would take the appliance for broken. The control socket is not concerned: it has no
//! addresses.

use std::net::IpAddr;

use super::Gate;
use super::connection::Connection;
use super::refusals::Reason;
use super::request::policy::Area;
use crate::config::Listen;
use crate::http::forwarded::{self, Client};
use crate::http::head::RequestHead;

impl Gate {
    /// True if a connection from `peer` is accepted.
    pub(crate) fn admits(&self, peer: IpAddr, listen: &Listen) -> bool {
        if listen.trusted_proxies.contains(peer) {
            return true;
        }
        if listen.proxy_protocol {
            self.refusals.record(peer, listen.address.port(), Reason::NoProxy);
            return false;
        }
        self.is_allowed(&Client::known(peer), listen)
    }

    /// True if `allow` lets the client in.
    pub(crate) fn is_allowed(&self, client: &Client, listen: &Listen) -> bool {
        if listen.allow.is_empty() || client.is_in(&listen.allow) {
            return true;
        }
        let reason = Reason::NotIn("allow", client.identity);
        self.refusals.record(client.address, listen.address.port(), reason);
        false
    }

    /// Finds out who has sent a request.
    pub(crate) fn identify(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        head: &RequestHead,
    ) {
        if connection.is_proxy {
            let trusts = |address| listen.trusted_proxies.contains(address);
            connection.client = forwarded::client(connection.peer.ip(), &head.fields, trusts);
        }
    }

    /// True if the client may send requests on this listener. Other clients than those of a proxy were judged
    /// when they connected.
    pub(crate) fn may_ask(&self, connection: &Connection, listen: &Listen) -> bool {
        !connection.is_proxy || self.is_allowed(&connection.client, listen)
    }

    /// True if the client may reach what `area` is.
    pub(crate) fn may_reach(&self, connection: &Connection, listen: &Listen, area: Area) -> bool {
        let (from, client) = (&self.config.management_from, &connection.client);
        if from.is_empty() || !is_for_administrators(area) || client.is_in(from) {
            return true;
        }
        let reason = Reason::NotIn("management_from", client.identity);
        self.refusals.record(client.address, listen.address.port(), reason);
        false
    }
}

/// True for the areas that `management_from` is about: what the administrator's password is for.
fn is_for_administrators(area: Area) -> bool {
    match area {
        Area::ManagementV1
        | Area::ManagementV2
        | Area::Page
        | Area::Monitoring
        | Area::CustomAdmin => true,
        Area::SpeechV1
        | Area::Jobs
        | Area::Realtime
        | Area::CustomOpen
        | Area::Health
        | Area::Unknown => false,
    }
}
