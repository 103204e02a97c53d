//! The service behind every contender: one thread, HTTP/1.1 with keep-alive, plain TCP on loopback.
//!
//! `GET …/bytes/N` is answered with N bytes; `GET …/ws` with 101, and what comes then is sent back as
//! it came; any other GET with `{"status":"ok"}`; a POST with the same once its body has
//! been thrown away. usage: backend PORT

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::event::epoll;
use rustix::net::{RecvFlags, recv};

const SMALL: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}";

/// The accept value belongs to the key that the load generator sends: RFC 6455 section 1.3.
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const LISTENER: u64 = u64::MAX;

enum Body {
    None,
    /// Bytes of a request body that are still to be thrown away.
    Discard(u64),
    Echo,
}

struct Connection {
    socket: TcpStream,
    /// Arrived and not yet understood.
    arrived: Vec<u8>,
    body: Body,
    /// Bytes of an answer's body that are still to be sent, after `pending`.
    zeros: u64,
    pending: Vec<u8>,
    blocked: bool,
}

impl Connection {
    /// Moves all that can be moved; true if it waits for room to send.
    fn drive(&mut self, buffer: &mut [u8], zeros: &[u8]) -> io::Result<bool> {
        // A short read emptied the socket; epoll will tell of more.
        let mut emptied = false;
        loop {
            if !self.send(zeros)? {
                return Ok(true);
            }
            match &mut self.body {
                Body::Echo if !self.arrived.is_empty() => {
                    self.pending.append(&mut self.arrived);
                    continue;
                }
                Body::Discard(left) => {
                    let have = (*left).min(self.arrived.len() as u64);
                    self.arrived.drain(..have as usize);
                    *left -= have;
                    while *left > 0 {
                        let most = usize::try_from(*left).unwrap_or(buffer.len()).min(buffer.len());
                        // Thrown away in the kernel, without a copy: tcp(7).
                        match recv(&self.socket, &mut buffer[..most], RecvFlags::TRUNC) {
                            Ok((0, _) | (_, 0)) => return Err(ErrorKind::UnexpectedEof.into()),
                            Ok((_, n)) => *left -= n as u64,
                            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                            Err(e) => return Err(e.into()),
                        }
                    }
                    self.body = Body::None;
                    self.pending.extend_from_slice(SMALL);
                    continue;
                }
                Body::Echo | Body::None => {}
            }
            if matches!(self.body, Body::None) && self.next_request() {
                continue;
            }
            if emptied {
                return Ok(false);
            }
            match self.socket.read(&mut buffer[..16 << 10]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    emptied = n < 16 << 10;
                    self.arrived.extend_from_slice(&buffer[..n]);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    /// True when nothing is owed any more.
    fn send(&mut self, zeros: &[u8]) -> io::Result<bool> {
        while !self.pending.is_empty() || self.zeros > 0 {
            let body = self.zeros.min(zeros.len() as u64) as usize;
            let bytes = if self.pending.is_empty() { &zeros[..body] } else { &self.pending[..] };
            match self.socket.write(bytes) {
                Ok(n) if self.pending.is_empty() => self.zeros -= n as u64,
                Ok(n) => drop(self.pending.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Takes one request head, if a whole one is there.
    fn next_request(&mut self) -> bool {
        let Some(end) = find(&self.arrived, b"\r\n\r\n") else { return false };
        let head: Vec<u8> = self.arrived.drain(..end + 4).collect();
        if head.starts_with(b"POST") {
            self.body = Body::Discard(content_length(&head));
        } else if let Some(at) = find(&head, b"/bytes/") {
            let digits = head[at + 7..].iter().take_while(|byte| byte.is_ascii_digit());
            self.zeros = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                self.zeros
            );
            self.pending.extend_from_slice(head.as_bytes());
        } else if find(&head, b"/ws HTTP/").is_some() {
            self.body = Body::Echo;
            self.pending.extend_from_slice(SWITCH);
        } else {
            self.pending.extend_from_slice(SMALL);
        }
        true
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn content_length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|digits| digits.trim().parse().ok()).unwrap_or(0)
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse::<u16>().ok());
    let port = port.ok_or_else(|| io::Error::other("usage: backend PORT"))?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    // Again, with a longer queue than the standard library asks for.
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let (read, write) = (epoll::EventFlags::IN, epoll::EventFlags::OUT);
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), read)?;
    let zeros = vec![b'0'; 256 << 10];
    let mut buffer = vec![0; 1 << 20];
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut serial = 0;
    let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
    loop {
        events.clear();
        let _ = epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None);
        for event in &events {
            let token = event.data.u64();
            if token == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    serial += 1;
                    epoll::add(&epoll, &socket, epoll::EventData::new_u64(serial), read)?;
                    connections.insert(
                        serial,
                        Connection {
                            socket,
                            arrived: Vec::new(),
                            body: Body::None,
                            zeros: 0,
                            pending: Vec::new(),
                            blocked: false,
                        },
                    );
                }
                continue;
            }
            let Some(connection) = connections.get_mut(&token) else { continue };
            match connection.drive(&mut buffer, &zeros) {
                Ok(blocked) if blocked == connection.blocked => {}
                Ok(blocked) => {
                    connection.blocked = blocked;
                    let flags = if blocked { read | write } else { read };
                    let data = epoll::EventData::new_u64(token);
                    epoll::modify(&epoll, &connection.socket, data, flags)?;
                }
                // Dropping the socket closes it, and epoll forgets it.
                Err(_) => drop(connections.remove(&token)),
            }
        }
    }
}
