//! Connections that wait: one exchange at a time.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketType};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::http::Answer;
use crate::tls::client;

pub(crate) type Tls = StreamOwned<ClientConnection, Socket>;

/// rustls alone reads 4 KiB at a time.
pub(crate) struct Socket(pub(crate) BufReader<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Closing will send a reset, so that thousands of connections leave no TIME_WAIT behind.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    prepared(TcpStream::connect(("127.0.0.1", port))?)
}

/// The same from another address of this machine for each `number`.
pub(crate) fn connect_from(number: u64, port: u16) -> io::Result<TcpStream> {
    let [.., a, b, c] = number.to_be_bytes();
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new([127, 1 + a % 200, b, 1 + c % 250].into(), 0))?;
    rustix::net::connect(&socket, &SocketAddrV4::new([127, 0, 0, 1].into(), port))?;
    prepared(socket.into())
}

fn prepared(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    set_socket_linger(&socket, Some(Duration::ZERO))?;
    Ok(socket)
}

/// `buffer`: bytes read at once; small where thousands are held, large where bodies are measured.
pub(crate) fn open(port: u16, config: &Arc<ClientConfig>, buffer: usize) -> io::Result<Tls> {
    secure(connect(port)?, config, buffer)
}

/// The same on a connection that is there.
pub(crate) fn secure(
    socket: TcpStream,
    config: &Arc<ClientConfig>,
    buffer: usize,
) -> io::Result<Tls> {
    let socket = Socket(BufReader::with_capacity(buffer, socket));
    let mut tls = StreamOwned::new(client(config), socket);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

pub(crate) fn read_answer(tls: &mut Tls) -> io::Result<u16> {
    let (mut answer, mut buffer) = (Answer::default(), vec![0; 64 << 10]);
    loop {
        match tls.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n if answer.feed(&buffer[..n]) => return Ok(answer.status),
            _ => {}
        }
    }
}

/// The status of the answer.
pub(crate) fn exchange(tls: &mut Tls, request: &[u8]) -> io::Result<u16> {
    tls.write_all(request)?;
    tls.flush()?;
    read_answer(tls)
}
