//! The front door: the only part that strangers can touch.
//!
//! In: TLS, request heads under limits, policy, credentials, routing, forwarding. Out: what a setting
//! means and how it is kept; the gate sees the values of `security` and `license`, never their
//! keepers. `Gate::advance`
//! tells a connection's life on a page.

mod connection;
#[cfg(fuzzing)]
pub mod fuzz;
mod io;
mod limits;
mod listener;
mod proxy;
mod request;
mod upstream;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustls::{ServerConfig, ServerConnection};

pub(crate) use crate::gate::listener::Listeners;
pub(crate) use crate::gate::listener::bind::Bound;

use self::connection::{Connection, State};
use crate::config::{Config, Listen, ServiceAddress};
use crate::gate::connection::handshake_log::HandshakeLog;
use crate::gate::connection::stream::ClientStream;
use crate::gate::limits::permits::RequestLimits;
use crate::gate::limits::token_bucket::TokenBucket;
use crate::gate::request::basic_auth::Authenticator;
use crate::gate::request::router::Routes;
use crate::gate::upstream::idle::Kept;
use crate::gate::upstream::pool::Service;
use crate::http::date::now;
use crate::http::head::HeadBuffer;
use crate::license::Entitlement;
use crate::log::Log;
use crate::management::InlineApi;
use crate::security::{Identity, Rules};
use crate::util::published::Published;

/// What every port shares.
pub(crate) struct Gate {
    config: Arc<Config>,
    rules: Arc<Published<Rules>>,
    license: Arc<Published<Entitlement>>,
    at_once: InlineApi,
    tls: Arc<ServerConfig>,
    routes: Routes,
    /// Connections to services.
    kept: Arc<Kept>,
    guard: Authenticator,
    strangers: HandshakeLog,
    log: Log,
    /// What requests hold that have been let in and are not answered yet.
    places: RequestLimits,
    /// Set on the way down: every answer is the last of its connection.
    draining: AtomicBool,
}

impl Gate {
    /// # Errors
    /// A sentence, when the cryptographic library can't start.
    pub(crate) fn new(
        config: Arc<Config>,
        control_socket: &Path,
        at_once: InlineApi,
        rules: Arc<Published<Rules>>,
        identity: Arc<Published<Identity>>,
        license: Arc<Published<Entitlement>>,
        log: Log,
    ) -> Result<Gate, String> {
        let address = ServiceAddress::Unix(control_socket.to_owned());
        let services = config.services.len();
        let kept = Kept::new(services + 1);
        let own = Service::ours(address, services, &kept);
        Ok(Gate {
            tls: connection::tls::server_config(config.api, identity)
                .map_err(|e| format!("cannot set up TLS: {e}"))?,
            routes: Routes::new(&config, Arc::new(own), &kept),
            places: RequestLimits::new(services),
            kept,
            guard: Authenticator::new()?,
            strangers: HandshakeLog::new(log.clone()),
            draining: AtomicBool::new(false),
            config,
            rules,
            license,
            at_once,
            log,
        })
    }

    /// Whose threads wait for what `connection` needs: a service's, by its number, or our own.
    fn waits_for(&self, connection: &Connection) -> usize {
        connection.seeks().unwrap_or(self.config.services.len())
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// A client has come through `listen`.
    ///
    /// # Errors
    /// When rustls can't make a connection, which is a lack of memory or of random bytes.
    fn new_connection(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        listen: &Listen,
    ) -> Result<Connection, rustls::Error> {
        let now = Instant::now();
        let (stream, phase, deadline) = if listen.tls {
            let tls = ServerConnection::new(Arc::clone(&self.tls))?;
            (ClientStream::tls(tcp, tls), State::Handshake, now + limits::HANDSHAKE)
        } else {
            (ClientStream::plain(tcp), State::Head, now + limits::IDLE)
        };
        Ok(Connection {
            stream,
            peer,
            state: phase,
            head: HeadBuffer::default(),
            deadline,
            allowance: TokenBucket::new(now),
            heard: now,
            gone: false,
            is_ready: false,
        })
    }
}
