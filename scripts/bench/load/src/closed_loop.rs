//! N connections, each of which asks again as soon as it is answered.
//!
//! `get`: requests on kept connections. `handshake`: a new connection for each request, of which the
//! handshake is the most. `tunnel`: WebSocket messages that the backend sends back.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustls::crypto::SupportedKxGroup;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup};

use crate::arguments::Arguments;
use crate::blocking::{connect, connect_from};
use crate::http::{self, Answer};
use crate::kx;
use crate::meter::{Latencies, Meter};
use crate::tls;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Get,
    Handshake,
    Tunnel,
}

/// What would complete the exchange.
enum Expected {
    Answer(Answer),
    Bytes(usize),
}

impl Expected {
    /// Takes what has arrived; true when the exchange is complete.
    fn feed(&mut self, data: &[u8]) -> bool {
        match self {
            Expected::Answer(answer) => answer.feed(data),
            Expected::Bytes(missing) => {
                *missing = missing.saturating_sub(data.len());
                *missing == 0
            }
        }
    }
}

struct Connection {
    socket: TcpStream,
    tls: ClientConnection,
    expected: Expected,
    began: Instant,
    blocked: bool,
}

impl Connection {
    /// Sends what TLS wants sent; remembers whether the socket was full.
    fn flush(&mut self) -> io::Result<()> {
        self.blocked = false;
        while self.tls.wants_write() && !self.blocked {
            match self.tls.write_tls(&mut self.socket) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.blocked = true,
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// Reads what is there, through `wire`; true when the exchange is complete. rustls alone reads 4 KiB
    /// at a time, which would make large bodies dear for the client.
    fn read(&mut self, wire: &mut [u8], buffer: &mut [u8]) -> io::Result<bool> {
        let mut rest = match self.socket.read(wire) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            read => &wire[..read?],
        };
        let mut complete = false;
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest)?;
            let state = self.tls.process_new_packets().map_err(io::Error::other)?;
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let n = self.tls.reader().read(buffer)?;
                left -= n;
                complete |= self.expected.feed(&buffer[..n]);
            }
        }
        Ok(complete)
    }
}

struct Load<'a> {
    arguments: &'a Arguments,
    kind: Kind,
    port: u16,
    /// One for each connection when sessions are resumed, so that each has a ticket of its own.
    configs: Vec<Arc<ClientConfig>>,
    status: u16,
    group: NamedGroup,
    /// Each connection comes from an address of its own.
    from_many: bool,
    /// The request, unless it is a new one each time.
    fixed: Option<Vec<u8>>,
    message: Vec<u8>,
    serial: u64,
    full: u64,
    resumed: u64,
}

impl Load<'_> {
    fn connect(&self, slot: usize) -> io::Result<Connection> {
        let began = Instant::now();
        let mut socket = match self.from_many {
            true => connect_from(self.serial, self.port)?,
            false => connect(self.port)?,
        };
        let mut tls = tls::client(&self.configs[slot % self.configs.len()]);
        if self.kind != Kind::Handshake {
            while tls.is_handshaking() {
                tls.complete_io(&mut socket)?;
            }
        }
        if self.kind == Kind::Tunnel {
            tls.writer().write_all(&http::upgrade(self.arguments.text("path", "/api/ws")))?;
            let (mut answer, mut buffer) = (Answer::default(), [0; 4096]);
            let mut stream = rustls::Stream::new(&mut tls, &mut socket);
            while !answer.feed(&buffer[..0]) {
                let n = stream.read(&mut buffer)?;
                if n == 0 || answer.feed(&buffer[..n]) {
                    break;
                }
            }
            if answer.status != 101 {
                return Err(io::Error::other(format!("status {}, not 101", answer.status)));
            }
        }
        socket.set_nonblocking(true)?;
        let expected = Expected::Bytes(0);
        Ok(Connection { socket, tls, expected, began, blocked: false })
    }

    fn begin(&mut self, connection: &mut Connection) -> io::Result<()> {
        self.serial += 1;
        if self.kind != Kind::Handshake {
            connection.began = Instant::now();
        }
        if self.kind == Kind::Tunnel {
            connection.expected = Expected::Bytes(self.message.len());
            connection.tls.writer().write_all(&self.message)?;
        } else {
            connection.expected = Expected::Answer(Answer::default());
            let close = self.kind == Kind::Handshake;
            let made;
            let request = match &self.fixed {
                Some(request) => request,
                None => {
                    made = http::get(self.arguments, close, self.serial);
                    &made
                }
            };
            connection.tls.writer().write_all(request)?;
        }
        connection.flush()
    }

    /// Is the complete exchange what it should be?
    fn judge(&mut self, connection: &Connection) -> Result<(), String> {
        match connection.tls.handshake_kind() {
            Some(HandshakeKind::Resumed) => self.resumed += 1,
            _ => self.full += 1,
        }
        let group = connection.tls.negotiated_key_exchange_group().map(|group| group.name());
        // A session resumed by TLS 1.2 has no key exchange.
        if group.is_some_and(|group| group != self.group) {
            return Err(format!("not {:?}", self.group));
        }
        match &connection.expected {
            Expected::Answer(answer) if answer.status != self.status => {
                Err(format!("status {}", answer.status))
            }
            _ => Ok(()),
        }
    }
}

/// Runs for `--secs` after `--warm`, or until `--count` answers have come; prints JSON.
pub(crate) fn run(arguments: &Arguments, kind: Kind) -> Result<(), String> {
    let count: usize = arguments.number("connections", 1);
    let resume = arguments.number("resume", 0) == 1;
    let configs = if resume { count } else { 1 };
    let mut load = Load {
        arguments,
        kind,
        port: arguments.number("port", 0),
        configs: (0..configs).map(|_| tls::config(arguments, resume)).collect(),
        status: arguments.number("status", 200),
        group: kx::fixed(arguments.text("group", "x25519")).name(),
        from_many: arguments.number("from-many", 0) == 1,
        fixed: (!arguments.text("user", "").contains('*'))
            .then(|| http::get(arguments, kind == Kind::Handshake, 0)),
        message: vec![0x82; arguments.number("bytes", 1024)],
        serial: 0,
        full: 0,
        resumed: 0,
    };
    let fatal = |what: &str, e: io::Error| format!("{what}: {e}");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| fatal("epoll", e.into()))?;
    let flags = |connection: &Connection| match connection.blocked {
        true => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        false => epoll::EventFlags::IN,
    };
    let token = |slot: usize| epoll::EventData::new_u64(slot as u64);

    let mut all = Vec::with_capacity(count);
    for slot in 0..count {
        all.push(Some(load.connect(slot).map_err(|e| fatal("connect", e))?));
    }
    for (slot, connection) in all.iter_mut().enumerate() {
        let Some(connection) = connection else { continue };
        load.begin(connection).map_err(|e| fatal("first request", e))?;
        epoll::add(&epoll, &connection.socket, token(slot), flags(connection))
            .map_err(|e| fatal("epoll", e.into()))?;
    }

    let wanted: Option<usize> = arguments.optional("count");
    let length = Duration::from_secs_f64(arguments.number("secs", 1.0));
    let warm = Instant::now() + Duration::from_secs_f64(arguments.number("warm", 0.3));
    let mut meter = wanted.map(|_| Meter::start(arguments));
    let mut stop = None;
    let mut latencies = Latencies::new();
    let mut errors: BTreeMap<String, u64> = BTreeMap::new();
    let mut events: Vec<epoll::Event> = Vec::with_capacity(512);
    let (mut wire, mut buffer) = (vec![0; 256 << 10], vec![0; 16 << 10]);
    let tick = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    loop {
        let now = Instant::now();
        if meter.is_none() && now >= warm {
            meter = Some(Meter::start(arguments));
            stop = Some(Instant::now() + length);
        }
        if stop.is_some_and(|stop| now >= stop) || wanted.is_some_and(|n| latencies.len() >= n) {
            break;
        }
        events.clear();
        let _ = epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&tick));
        for event in &events {
            let slot = event.data.u64() as usize;
            let Some(connection) = all[slot].as_mut() else { continue };
            let before = connection.blocked;
            let moved = connection
                .read(&mut wire, &mut buffer)
                .and_then(|complete| connection.flush().map(|()| complete));
            let mut wrong = |what: String| *errors.entry(what).or_default() += 1;
            let renew = match moved {
                Ok(true) => {
                    // A wrong answer is an answer: the connection goes on.
                    match load.judge(connection) {
                        Ok(()) if meter.is_some() => latencies.note(connection.began),
                        Ok(()) => {}
                        Err(what) => wrong(what),
                    }
                    kind == Kind::Handshake || load.begin(connection).is_err()
                }
                Ok(false) => false,
                Err(e) => {
                    wrong(format!("{:?}", e.kind()));
                    true
                }
            };
            if renew {
                // Closed before the next is opened, so that there are never more than `count`.
                all[slot] = None;
                let mut next = load.connect(slot).map_err(|e| fatal("connect again", e))?;
                load.begin(&mut next).map_err(|e| fatal("request again", e))?;
                epoll::add(&epoll, &next.socket, token(slot), flags(&next))
                    .map_err(|e| fatal("epoll", e.into()))?;
                all[slot] = Some(next);
            } else if connection.blocked != before {
                epoll::modify(&epoll, &connection.socket, token(slot), flags(connection))
                    .map_err(|e| fatal("epoll", e.into()))?;
            }
        }
    }
    let used = meter.map_or_else(String::new, |meter| meter.json());
    println!(
        "{{{},\"errors\":{},\"what\":\"{}\",\"full\":{},\"resumed\":{},{used}}}",
        latencies.json(),
        errors.values().sum::<u64>(),
        errors.iter().map(|(what, n)| format!("{n} x {what}; ")).collect::<String>(),
        load.full,
        load.resumed
    );
    Ok(())
}
