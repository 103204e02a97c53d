//! Reads the PROXY protocol header of a connection, before TLS or a request.

use std::io::ErrorKind;
use std::time::Instant;

use rustls::ServerConnection;

use super::proxy_protocol::{self, LONGEST, Source};
use super::{Action, Connection, State, Step};
use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits;
use crate::gate::refusals::Reason;
use crate::http::forwarded::{Client, Identity};
use crate::metrics::Refusal;

impl Gate {
    /// Reads a header, of which the bytes in `arrived` are there already.
    pub(crate) fn read_proxy_header(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        mut arrived: Vec<u8>,
    ) -> Step {
        loop {
            match proxy_protocol::parse(&arrived) {
                Ok(Some((source, length))) => {
                    let rest = arrived.split_off(length);
                    return self.on_proxy_header(connection, listen, source, rest);
                }
                Ok(None) => {}
                Err(why) => {
                    self.refuse_proxy_header(connection, listen, why);
                    return Step::Close;
                }
            }
            let mut piece = [0; LONGEST];
            let room = piece.get_mut(arrived.len()..).unwrap_or_default();
            match connection.stream.try_read(room) {
                // As from a health check that only connects.
                Ok(0) => return Step::Close,
                Ok(n) => arrived.extend_from_slice(room.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    return Step::Pause(State::ProxyHeader(arrived), Action::Wait);
                }
                Err(_) => return Step::Close,
            }
        }
    }

    pub(crate) fn refuse_proxy_header(
        &self,
        connection: &Connection,
        listen: &Listen,
        why: &'static str,
    ) {
        self.metrics.refused(Refusal::ProxyHeader);
        self.refusals.record(connection.peer.ip(), listen.address.port(), Reason::Header(why));
    }

    /// Begins TLS or HTTP with the bytes that have arrived after the header, if its source may come.
    fn on_proxy_header(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        source: Source,
        rest: Vec<u8>,
    ) -> Step {
        let proxy = connection.peer.ip().to_canonical();
        // Behind a header the client itself may write a request, so a proxy is believed in what stands there
        // only if the header names that proxy as the source.
        connection.is_proxy = false;
        connection.client = match source {
            Source::Client(address) => {
                connection.peer = address;
                connection.is_proxy = listen.trusted_proxies.contains(address.ip());
                Client::known(address.ip())
            }
            Source::Proxy => Client { address: proxy, identity: Identity::Proxy },
        };
        if !connection.is_proxy && !self.is_allowed(&connection.client, listen) {
            self.metrics.refused(Refusal::Address);
            return Step::Close;
        }
        if !listen.tls {
            connection.head.extend(&rest);
            return Step::Next(connection.expect_request());
        }
        let Ok(tls) = self.tls.current().and_then(ServerConnection::new) else {
            return Step::Close;
        };
        connection.stream.begin_tls(tls, rest);
        connection.deadline = Instant::now() + limits::HANDSHAKE;
        // A handshake costs as much as hundreds of requests, so others have their turn before.
        Step::Pause(State::Handshake, Action::Yield)
    }
}
