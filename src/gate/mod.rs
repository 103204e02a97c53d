//! The gate: the HTTPS and HTTP listeners of the appliance, which accept requests from the network.
//!
//! In: TLS, request heads within limits, policy, credentials, routing, proxying. Out: what a setting means and how it
//! is stored; the gate reads published values of `security` and `license`.
//!
//! # The life of a request
//!
//! 1. `listener` schedules: an event loop accepts the connection and calls `Gate::advance` for each event.
//! 2. `connection` drives: `advance` reads TLS and the request head, and applies the state transitions below.
//! 3. `request` decides: router, policy, credentials and license lead to a local response or to an exchange.
//! 4. `proxy` moves: an exchange sends the request to the service and the response to the client.
//! 5. `upstream` connects: to the service, with a new or a pooled connection.
//! 6. `limits` bound: permits for requests, eviction, token buckets, and every deadline.
//! 7. `io` is bytes: readiness of sockets, streams and write buffers.
//!
//! When the exchange has ended, `request` counts it and writes the access log, and the connection waits for the next head.
//!
//! # The life of a connection
//!
//! The variants of `connection::State`. The line on the left is a local response, the line on the right the next
//! request on the connection:
//!
//! ```text
//!   accept (TLS)    accept (plain)     accept (PROXY protocol)
//!        |               |                    |
//!        |               |                    v
//!        +<--------------+<------------- ProxyHeader
//!        v               v
//!    Handshake -------> Head <----------------+
//!        |               |                    |
//!        +<--------------+---> Collecting     |
//!        |               |         |          |
//!        +<--------------|---------+          |
//!        |               |         v          |
//!        +<--------------|----- Calling       |
//!        |               v                    |
//!        +<---------- Proxying -------------->+
//!        |             |    |                 |
//!        |             |    v                 |
//!        |             |  Tunnel              |
//!        |             |    |                 |
//!        |             v    v                 |
//!        |         LingeringClose ---> closed |
//!        |             ^    ^                 |
//!        |             |    |                 |
//!        |             |  RejectingWebSocket  |
//!        |             |    ^                 |
//!        v             |    |                 |
//!     Responding ------+----+---------------->+
//! ```
//!
//! - `ProxyHeader`: `Handshake` or `Head` when the header is complete and its source may come.
//! - `Handshake`: `Head` when TLS is established; `Responding` with 400 to a client that speaks plain HTTP;
//!   `LingeringClose` when an ACME challenge was answered (`acme-tls/1`).
//! - `Head`: when the head is complete, the request is judged. If it is authorized, licensed and has a permit:
//!   `Proxying` when the service has accepted, or `Collecting` if it is for the management API, which this process
//!   answers. Otherwise `Responding`, with 502 or 503 if the service can't be reached.
//! - `Collecting`: when the body is there, at once if there is none, its handler is called: `Responding` with its
//!   response from memory, or `Calling` if it may block.
//! - `Calling`: `Responding` when a thread that may block has called the handler, or with 504 after
//!   [`limits::MANAGEMENT_TIMEOUT`].
//! - `Proxying`: `Head` or `LingeringClose` after the response; `Tunnel` after a 101; once more with a new
//!   connection if a pooled one was dead; `Responding` if the service has failed before its response began.
//! - `Tunnel`: `LingeringClose` when both sides are done.
//! - `Responding`: `Head` for the next request; `LingeringClose` after the last; `RejectingWebSocket` after the 101 for
//!   a WebSocket without a license.
//! - `RejectingWebSocket`: `LingeringClose` after the frames that explain the rejection.
//! - `LingeringClose`: closed, when the client has closed or the time is up.
//!
//! A step that has to wait is a value. `connection::work::Work` is what a blocking thread does when a password must be
//! hashed or connecting takes time; meanwhile the state is `Taken`, then `Unblocked` with the result, which completes
//! the verdict or the connecting. An admitted request for which there is no permit stays `OverLimit` until slow clients
//! are evicted; then it takes its permit, or gets 503. Where plain HTTP is disabled without a response, `Head` leads to
//! `LingeringClose`. A deadline, an eviction or a disconnected client closes a connection in any state.

mod admission;
mod connection;
#[cfg(fuzzing)]
pub mod fuzz;
mod io;
mod limits;
mod listener;
mod proxy;
mod refusals;
mod request;
mod upstream;

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustls::ServerConnection;

pub(crate) use crate::gate::listener::Listeners;
pub(crate) use crate::gate::listener::bind::Bound;

use self::connection::{Connection, State};
use crate::config::{Config, Listen};
use crate::gate::connection::handshake_log::HandshakeLog;
use crate::gate::connection::stream::ClientStream;
use crate::gate::connection::tls::TlsConfig;
use crate::gate::limits::permits::{Permit, RequestLimits};
use crate::gate::limits::token_bucket::TokenBucket;
use crate::gate::refusals::Refusals;
use crate::gate::request::basic_auth::Authenticator;
use crate::gate::request::hsts::Hsts;
use crate::gate::request::router::Routes;
use crate::gate::upstream::pool::IdlePool;
use crate::http::date::now;
use crate::http::forwarded::Client;
use crate::http::head::HeadBuffer;
use crate::license::Entitlement;
use crate::log::Log;
use crate::management::NetworkApi;
use crate::metrics::Metrics;
use crate::security::{Challenges, Identity, Rules};
use crate::util::published::Published;

/// What all listeners share.
pub(crate) struct Gate {
    config: Arc<Config>,
    rules: Arc<Published<Rules>>,
    challenges: Arc<Published<Challenges>>,
    license: Arc<Published<Entitlement>>,
    management: NetworkApi,
    tls: TlsConfig,
    hsts: Hsts,
    routes: Routes,
    idle_pool: Arc<IdlePool>,
    authenticator: Authenticator,
    handshake_log: HandshakeLog,
    refusals: Refusals,
    metrics: Arc<Metrics>,
    log: Log,
    /// Permits of requests in progress.
    request_limits: RequestLimits,
    /// Set when the process shuts down: every response is the last of its connection.
    draining: AtomicBool,
}

impl Gate {
    /// # Errors
    /// When the cryptographic library cannot start.
    pub(crate) fn new(
        config: Arc<Config>,
        management: NetworkApi,
        rules: Arc<Published<Rules>>,
        identity: Arc<Published<Identity>>,
        challenges: Arc<Published<Challenges>>,
        license: Arc<Published<Entitlement>>,
        log: Log,
    ) -> Result<Gate, Error> {
        let services = config.services.len();
        let idle_pool = IdlePool::new(services);
        Ok(Gate {
            hsts: Hsts::new(config.hsts_max_age, Arc::clone(&identity)),
            tls: TlsConfig::new(config.api, identity, Arc::clone(&challenges))
                .map_err(|e| Error(format!("cannot set up TLS: {e}")))?,
            routes: Routes::new(&config, &idle_pool),
            request_limits: RequestLimits::new(services),
            idle_pool,
            authenticator: Authenticator::new()?,
            handshake_log: HandshakeLog::new(log.clone()),
            refusals: Refusals::new(log.clone()),
            metrics: Arc::clone(management.metrics()),
            draining: AtomicBool::new(false),
            config,
            rules,
            challenges,
            license,
            management,
            log,
        })
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The state of a connection that was accepted through `listen` with `permit`.
    ///
    /// # Errors
    /// When rustls has no memory or no random bytes.
    fn new_connection(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        listen: &Listen,
        permit: Option<Permit>,
    ) -> Result<Connection, rustls::Error> {
        let now = Instant::now();
        let (stream, state, deadline) = if listen.proxy_protocol {
            let state = State::ProxyHeader(Vec::new());
            (ClientStream::plain(tcp), state, now + limits::PROXY_HEADER)
        } else if listen.tls {
            let tls = ServerConnection::new(self.tls.current()?)?;
            (ClientStream::tls(tcp, tls), State::Handshake, now + limits::HANDSHAKE)
        } else {
            (ClientStream::plain(tcp), State::Head, now + limits::IDLE)
        };
        Ok(Connection {
            stream,
            peer,
            is_proxy: listen.trusted_proxies.contains(peer.ip()),
            client: Client::known(peer.ip()),
            state,
            head: HeadBuffer::default(),
            deadline,
            bucket: TokenBucket::new(now),
            last_progress: now,
            hung_up: false,
            is_ready: false,
            _permit: permit,
            _open: self.metrics.open(),
        })
    }
}

/// Why the gate cannot start: one line for the operator.
#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
