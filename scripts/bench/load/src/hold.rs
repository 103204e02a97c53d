//! Connections that are there and do nothing, until standard input ends.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;

use crate::arguments::Arguments;
use crate::blocking::{Tls, connect_from, exchange, secure};
use crate::http;
use crate::tls;

enum Held {
    /// One request was answered on it.
    Idle(Tls),
    /// Half a request head was sent on it.
    Head(Tls),
    /// Half a ClientHello was sent on it.
    Handshake(TcpStream),
}

/// Opens `--connections` of `--kind` idle, head or handshake, says `ready`, and at the end how many
/// are still good: idle ones answer once more, the others have not been closed.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let (port, kind) = (arguments.number("port", 0), arguments.text("kind", "idle"));
    let config = tls::config(arguments, false);
    let request = http::get(arguments, false, 0);
    let hold = |number: u64| -> io::Result<Held> {
        // One address has some 28,000 ports for connections to one server.
        let socket = connect_from(number / 20_000, port)?;
        if kind == "handshake" {
            let (mut socket, mut hello) = (socket, Vec::new());
            tls::client(&config).write_tls(&mut hello)?;
            socket.write_all(&hello[..hello.len() / 2])?;
            return Ok(Held::Handshake(socket));
        }
        let mut tls = secure(socket, &config, 4096)?;
        if kind == "head" {
            tls.write_all(&request[..request.len() / 2])?;
            tls.flush()?;
            return Ok(Held::Head(tls));
        }
        match exchange(&mut tls, &request)? {
            200 => Ok(Held::Idle(tls)),
            status => Err(io::Error::other(format!("status {status}"))),
        }
    };
    let count: u64 = arguments.number("connections", 1000);
    let all: io::Result<Vec<Held>> = (0..count).map(hold).collect();
    let all = all.map_err(|e| e.to_string())?;
    println!("ready");
    io::stdin().lines().for_each(drop);
    let good = all.into_iter().filter_map(|held| match held {
        Held::Idle(mut tls) => exchange(&mut tls, &request).ok().filter(|status| *status == 200),
        Held::Head(tls) => still_open(tls.sock.0.get_ref()).then_some(0),
        Held::Handshake(socket) => still_open(&socket).then_some(0),
    });
    println!("{}", good.count());
    Ok(())
}

/// Nothing that was sent to it ends it. Session tickets may lie there unread.
fn still_open(socket: &TcpStream) -> bool {
    let mut buffer = [0; 1];
    socket.set_nonblocking(true).is_ok()
        && match socket.peek(&mut buffer) {
            Ok(n) => n > 0,
            Err(e) => e.kind() == ErrorKind::WouldBlock,
        }
}
