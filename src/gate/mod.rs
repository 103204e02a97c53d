//! The front door: the only part that strangers can touch.
//!
//! In: TLS, request heads under limits, policy, credentials, routing, forwarding. Out: what a setting
//! means and how it is kept; the gate sees the values of `security` and `license`, never their
//! keepers. `Gate::advance`
//! tells a connection's life on a page.

mod bind;
mod connection;
mod credentials;
mod download;
mod fields;
mod forward;
mod framing;
mod head;
mod limits;
mod listen;
mod outbox;
mod parked;
mod policy;
mod record;
mod refusal;
mod relay;
mod reply;
mod route;
mod serve;
mod service;
mod stream;
mod target;
mod tls;
mod tunnel;
mod upload;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustls::{ServerConfig, ServerConnection};

pub use bind::Bound;
pub use listen::Open;

use self::connection::{Connection, Next, Phase};
use self::credentials::Guard;
use self::forward::Buffers;
use self::head::{HeadBuffer, Malformed, RequestHead};
use self::reply::Reply;
use self::route::Routes;
use self::service::Service;
use self::stream::{ClientStream, write_all};
use crate::config::{Config, Listen, ServiceAddress};
use crate::license::Standing;
use crate::live::Live;
use crate::log::Log;
use crate::security::{Identity, Rules};
use crate::utc;

/// What every port shares.
pub struct Gate {
    config: Arc<Config>,
    rules: Arc<Live<Rules>>,
    license: Arc<Live<Standing>>,
    tls: Arc<ServerConfig>,
    routes: Routes,
    guard: Guard,
    log: Log,
    /// Set on the way down: every answer is the last of its connection.
    draining: AtomicBool,
}

impl Gate {
    /// # Errors
    /// A sentence, when the cryptographic library can't start.
    pub fn new(
        config: Arc<Config>,
        control_socket: &Path,
        rules: Arc<Live<Rules>>,
        identity: Arc<Live<Identity>>,
        license: Arc<Live<Standing>>,
        log: Log,
    ) -> Result<Gate, String> {
        let address = ServiceAddress::Unix(control_socket.to_owned());
        let own = Service::new("management", address, limits::OWN_TIMEOUT);
        Ok(Gate {
            tls: tls::server_config(config.api, identity)
                .map_err(|e| format!("cannot set up TLS: {e}"))?,
            routes: Routes::new(&config, Arc::new(own)),
            guard: Guard::new()?,
            draining: AtomicBool::new(false),
            config,
            rules,
            license,
            log,
        })
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
        Ok(Connection { stream, peer, phase, head: HeadBuffer::default(), deadline })
    }

    /// One connection's life: handshake, then request after request, each judged and answered, until
    /// one side has had enough. Returns whenever it is the client's turn.
    ///
    /// `has_place` is false when every worker is taken: then nothing may be started that waits.
    fn advance(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        buffers: &mut Buffers,
        has_place: bool,
    ) -> Next {
        loop {
            match connection.phase {
                Phase::Handshake => match connection.stream.try_handshake() {
                    Ok(()) => connection.expect_request(),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Next::Park,
                    Err(e) if e.kind() == ErrorKind::Unsupported => {
                        self.answer_plain_http(connection, listen);
                    }
                    Err(_) => return Next::Gone,
                },
                Phase::Head => match connection.head.request() {
                    Ok(Some(head)) => {
                        if !has_place {
                            let busy =
                                Reply::error(None, 503, "every worker is busy, try again soon");
                            self.reply(connection, &head, &busy.with("Retry-After", "1"), true);
                            continue;
                        }
                        match self.serve(connection, listen, head, buffers) {
                            Next::Gone => return Next::Gone,
                            Next::Park if connection.is_waiting() => return Next::Park,
                            Next::Park => {}
                        }
                    }
                    Ok(None) => match connection.read_head() {
                        Ok(true) => {}
                        Ok(false) => return Next::Park,
                        Err(_) => return Next::Gone,
                    },
                    Err(malformed) => self.refuse_malformed(connection, listen, malformed),
                },
                Phase::Refused => match connection.refuse_stream() {
                    Ok(true) => {}
                    Ok(false) => return Next::Park,
                    Err(_) => return Next::Gone,
                },
                Phase::Linger(end) => return connection.hear_out(end),
            }
        }
    }

    fn refuse_malformed(&self, connection: &mut Connection, listen: &Listen, malformed: Malformed) {
        if self.is_silent(listen) {
            connection.hang_up();
            return;
        }
        self.send(connection, &Reply::malformed(malformed).to_bytes(false, true, &now()), true);
    }

    /// `http://` typed where `https://` belongs.
    fn answer_plain_http(&self, connection: &mut Connection, listen: &Listen) {
        connection.stream.drop_tls();
        let reason = format!("port {} speaks HTTPS: use https://", listen.address.port());
        let reply = Reply::error(None, 400, &reason);
        self.send(connection, &reply.to_bytes(false, true, &now()), true);
    }

    fn reply(&self, connection: &mut Connection, head: &RequestHead, reply: &Reply, close: bool) {
        let bytes = reply.to_bytes(head.method == "HEAD", close, &now());
        self.send(connection, &bytes, close);
    }

    fn send(&self, connection: &mut Connection, bytes: &[u8], close: bool) {
        // No waiting: a socket that can't take two kilobytes belongs to a client that reads nothing.
        let sent = write_all(&mut connection.stream, bytes, Duration::ZERO);
        if close || sent.is_err() || self.is_draining() {
            connection.hang_up();
        } else {
            connection.expect_request();
        }
    }
}

fn now() -> String {
    utc::http_date(utc::unix_seconds(SystemTime::now()))
}
