//! The front door: the only part that strangers can touch.
//!
//! In: TLS, request heads under limits, policy, credentials, routing, forwarding. Out: what a setting
//! means and how it is kept; the gate sees the values of `security` and `license`, never their
//! keepers. `Gate::advance`
//! tells a connection's life on a page.

mod allowance;
mod answers;
mod authority;
mod bind;
mod client_stream;
mod connection;
mod credentials;
mod crowd;
mod date;
mod download;
mod expiry;
mod fields;
mod forward;
mod framing;
#[cfg(fuzzing)]
pub mod fuzz;
mod guesses;
mod head;
mod kept;
mod later;
mod lenient;
mod limits;
mod listen;
mod memory;
mod method;
mod outbox;
mod parked;
mod passed;
mod places;
mod policy;
mod port;
mod record;
mod refusal;
mod relay;
mod reply;
mod route;
mod serve;
mod service;
mod service_stream;
mod source;
mod strangers;
mod stream;
mod target;
mod tls;
mod tunnel;
mod turns;
mod upload;
mod watched;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustls::{ServerConfig, ServerConnection};

pub use bind::Bound;
pub use listen::Open;

use self::allowance::Allowance;
use self::client_stream::ClientStream;
use self::connection::{Connection, Next, Phase};
use self::credentials::Guard;
use self::date::now;
use self::forward::{Buffers, Exchange, Side, Start};
use self::head::HeadBuffer;
use self::kept::Kept;
use self::places::Places;
use self::relay::{Progress, Relay};
use self::route::Routes;
use self::service::Service;
use self::strangers::Strangers;
use self::tunnel::Tunnel;
use crate::config::{Config, Listen, ServiceAddress};
use crate::license::Standing;
use crate::live::Live;
use crate::log::Log;
use crate::management::AtOnce;
use crate::security::{Identity, Rules};

/// What every port shares.
pub struct Gate {
    config: Arc<Config>,
    rules: Arc<Live<Rules>>,
    license: Arc<Live<Standing>>,
    at_once: AtOnce,
    tls: Arc<ServerConfig>,
    routes: Routes,
    /// Connections to services.
    kept: Arc<Kept>,
    guard: Guard,
    strangers: Strangers,
    log: Log,
    /// What requests hold that have been let in and are not answered yet.
    places: Places,
    /// Set on the way down: every answer is the last of its connection.
    draining: AtomicBool,
}

impl Gate {
    /// # Errors
    /// A sentence, when the cryptographic library can't start.
    pub fn new(
        config: Arc<Config>,
        control_socket: &Path,
        at_once: AtOnce,
        rules: Arc<Live<Rules>>,
        identity: Arc<Live<Identity>>,
        license: Arc<Live<Standing>>,
        log: Log,
    ) -> Result<Gate, String> {
        let address = ServiceAddress::Unix(control_socket.to_owned());
        let services = config.services.len();
        let kept = Kept::new(services + 1);
        let own = Service::ours(address, services, &kept);
        Ok(Gate {
            tls: tls::server_config(config.api, identity)
                .map_err(|e| format!("cannot set up TLS: {e}"))?,
            routes: Routes::new(&config, Arc::new(own), &kept),
            places: Places::new(services),
            kept,
            guard: Guard::new()?,
            strangers: Strangers::new(log.clone()),
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
    fn greet(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        listen: &Listen,
    ) -> Result<Connection, rustls::Error> {
        let now = Instant::now();
        let (stream, phase, deadline) = if listen.tls {
            let tls = ServerConnection::new(Arc::clone(&self.tls))?;
            (ClientStream::tls(tcp, tls), Phase::Handshake, now + limits::HANDSHAKE)
        } else {
            (ClientStream::plain(tcp), Phase::Head, now + limits::IDLE)
        };
        Ok(Connection {
            stream,
            peer,
            phase,
            head: HeadBuffer::default(),
            deadline,
            allowance: Allowance::new(now),
            heard: now,
            gone: false,
            is_due: false,
        })
    }

    /// One connection's life: handshake, then request after request, each judged and answered, until
    /// one side has had enough. Returns whenever nothing can be done before somebody else does
    /// something; only with `may_wait` does it wait itself, for a password to be hashed or a service to
    /// be found.
    fn advance(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
        may_wait: bool,
    ) -> Next {
        let mut answers = 0;
        loop {
            if answers == limits::ANSWERS_AT_ONCE {
                return Next::Pause;
            }
            // Taken out, for most of what happens leads to another phase.
            let next = match std::mem::replace(&mut connection.phase, Phase::Head) {
                Phase::Handshake => self.shake_hands(connection, listen),
                Phase::Head => self.hear_request(connection, listen, buffers),
                Phase::Asked(head) => self.serve(connection, listen, head, may_wait),
                Phase::Admitted(exchange) => self.start(connection, exchange, may_wait),
                Phase::Relay(relay) => self.relay(connection, relay, buffers),
                Phase::Tunnel(tunnel) => self.tunnel(connection, tunnel, buffers),
                Phase::Answered(answered) => {
                    answers += 1;
                    self.deliver(connection, answered)
                }
                Phase::Refused => {
                    connection.phase = Phase::Refused;
                    match connection.refuse_stream() {
                        Ok(true) => None,
                        Ok(false) => Some(Next::Park),
                        Err(_) => Some(Next::Gone),
                    }
                }
                Phase::Linger(end) => {
                    connection.phase = Phase::Linger(end);
                    Some(connection.hear_out(end))
                }
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    // Each of these does what a phase is for, and sets the next one; `None` to go on with it.

    fn shake_hands(&self, connection: &mut Connection, listen: &Listen) -> Option<Next> {
        match connection.stream.try_handshake() {
            Ok(()) => connection.expect_request(),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                connection.phase = Phase::Handshake;
                connection.heard = Instant::now();
                return Some(Next::Park);
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                self.note_stranger(connection, listen, "the client speaks plain HTTP");
                self.answer_plain_http(connection, listen);
            }
            Err(e) => {
                self.note_stranger(connection, listen, &strangers::why(&e));
                return Some(Next::Gone);
            }
        }
        None
    }

    fn hear_request(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
    ) -> Option<Next> {
        match connection.head.request() {
            Ok(Some(head)) => connection.phase = Phase::Asked(head),
            Ok(None) => match connection.read_head(buffers) {
                Ok(true) => {}
                Ok(false) => {
                    connection.note_piece();
                    return Some(Next::Park);
                }
                Err(e) => {
                    if e.kind() == ErrorKind::UnexpectedEof {
                        connection.stream.say_goodbye(); // who has said it may wait for ours
                    }
                    return Some(Next::Gone);
                }
            },
            Err(malformed) => self.refuse_malformed(connection, listen, malformed),
        }
        None
    }

    fn start(
        &self,
        connection: &mut Connection,
        exchange: Box<Exchange>,
        may_wait: bool,
    ) -> Option<Next> {
        match exchange.start(may_wait) {
            Start::Relay(relay) => {
                let now = Instant::now();
                connection.deadline = now + relay.patience();
                connection.allowance = Allowance::new(now);
                connection.phase = Phase::Relay(relay);
                None
            }
            Start::Later(exchange) => {
                connection.phase = Phase::Admitted(exchange);
                Some(Next::Detach)
            }
            Start::Failed(exchange, ending) => self.settle(connection, *exchange, ending),
        }
    }

    fn relay(
        &self,
        connection: &mut Connection,
        mut relay: Box<Relay>,
        buffers: &mut Buffers,
    ) -> Option<Next> {
        if connection.gone {
            let ending = forward::Ending::Cut("the client went away".to_owned());
            return self.settle(connection, *relay.into_exchange(), ending);
        }
        let before = relay.passed();
        let next = match relay.advance(&mut Side::of(connection, buffers)) {
            Progress::Ended(ending) if relay.deserves_another(&ending) => {
                let mut exchange = relay.into_exchange();
                exchange.needs_fresh = true;
                connection.phase = Phase::Admitted(exchange);
                return None;
            }
            Progress::Ended(ending) => {
                return self.settle(connection, *relay.into_exchange(), ending);
            }
            Progress::Waits(false) => Next::Park,
            Progress::Waits(true) => {
                let moved = (relay.passed() - before).max(allowance::BODY_PIECE);
                connection.go_on(moved, relay.patience());
                Next::Park
            }
            Progress::Pauses => {
                connection.go_on(relay.passed() - before, relay.patience());
                Next::Pause
            }
            Progress::Tunnel => {
                let arrived = connection.head.take_rest();
                connection.go_on(0, limits::TUNNEL_IDLE);
                connection.phase = Phase::Tunnel(Box::new(relay.into_tunnel(arrived)));
                return None;
            }
        };
        connection.phase = Phase::Relay(relay);
        Some(next)
    }

    fn tunnel(
        &self,
        connection: &mut Connection,
        mut tunnel: Box<Tunnel>,
        buffers: &mut Buffers,
    ) -> Option<Next> {
        if tunnel.is_cut_off(connection.gone) {
            let ending = forward::Ending::Cut("the client went away".to_owned());
            return self.settle(connection, *tunnel.into_exchange(), ending);
        }
        let before = tunnel.passed();
        let next = match tunnel.advance(&mut Side::of(connection, buffers)) {
            Progress::Ended(ending) => {
                return self.settle(connection, *tunnel.into_exchange(), ending);
            }
            Progress::Waits(false) => Next::Park,
            progress => {
                connection.go_on(tunnel.passed() - before, limits::TUNNEL_IDLE);
                if matches!(progress, Progress::Pauses) { Next::Pause } else { Next::Park }
            }
        };
        connection.phase = Phase::Tunnel(tunnel);
        Some(next)
    }
}
