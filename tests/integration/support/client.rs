//! A client that sends bytes as they are given and takes answers apart by their framing.
//!
//! For what curl would not send or would not show; where a user would type curl, tests do.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};

use super::stub::field;
use super::tls::{Shown, TlsStream, connect, connect_over};
use super::wait::uninterrupted;

/// How long a client waits for bytes; beyond the appliance's own 20 seconds for a head.
const PATIENCE: Duration = Duration::from_secs(45);

/// One of the appliance's listeners, as a client sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

/// One connection to the appliance.
pub(crate) struct Client {
    stream: Stream,
    /// Read and not yet taken.
    pending: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

/// One answer, taken off the wire by its framing.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// Without the framing of chunks.
    pub(crate) body: Vec<u8>,
    /// The lines between the last chunk and the empty line.
    pub(crate) trailers: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) fn plain(port: u16) -> Client {
        Client::try_plain(port).unwrap()
    }

    pub(crate) fn try_plain(port: u16) -> io::Result<Client> {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        Ok(Client::new(Stream::Plain(tcp)))
    }

    pub(crate) fn tls(port: u16) -> Client {
        Client::try_tls(port).unwrap().1
    }

    /// Also what the handshake showed.
    pub(crate) fn try_tls(port: u16) -> Result<(Shown, Client), String> {
        let (shown, stream) = connect(port)?;
        Ok((shown, Client::new(Stream::Tls(Box::new(stream)))))
    }

    pub(crate) fn at(listener: Listener) -> Client {
        if listener.tls { Client::tls(listener.port) } else { Client::plain(listener.port) }
    }

    /// Connects from another address of this machine, which all of 127.0.0.0/8 are.
    pub(crate) fn at_from(source: Ipv4Addr, listener: Listener) -> Client {
        let tcp = connect_from(source, listener.port).unwrap();
        if listener.tls {
            Client::new(Stream::Tls(Box::new(connect_over(tcp).unwrap().1)))
        } else {
            Client::new(Stream::Plain(tcp))
        }
    }

    /// Connects from another address of this machine and sends `preface` before TLS or anything else.
    pub(crate) fn try_at_from(
        source: Ipv4Addr,
        listener: Listener,
        preface: &[u8],
    ) -> io::Result<Client> {
        let mut tcp = connect_from(source, listener.port)?;
        tcp.write_all(preface)?;
        if !listener.tls {
            return Ok(Client::new(Stream::Plain(tcp)));
        }
        tcp.set_read_timeout(Some(PATIENCE))?;
        let (_, tls) = connect_over(tcp).map_err(io::Error::other)?;
        Ok(Client::new(Stream::Tls(Box::new(tls))))
    }

    fn new(stream: Stream) -> Client {
        let client = Client { stream, pending: Vec::new() };
        client.tcp().set_nodelay(true).unwrap();
        client.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        client.tcp().set_write_timeout(Some(PATIENCE)).unwrap();
        client
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => &tls.sock,
        }
    }

    /// Waits only so long for bytes, for tests that would otherwise wait often and in vain.
    pub(crate) fn with_patience(self, patience: Duration) -> Client {
        self.tcp().set_read_timeout(Some(patience)).unwrap();
        self
    }

    /// Lets its kernel hold about so many bytes that have not been read.
    pub(crate) fn with_room(self, bytes: usize) -> Client {
        set_socket_recv_buffer_size(self.tcp(), bytes).unwrap();
        self
    }

    /// Sends all of it.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).unwrap();
    }

    /// Sends all of it, or says why that can't be done.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    /// A head and its empty line.
    #[track_caller]
    pub(crate) fn head(&mut self) -> String {
        let head = self.through(b"\r\n\r\n").unwrap();
        String::from_utf8_lossy(&head).into_owned()
    }

    /// The final answer to a request of `method`; interim ones are skipped.
    #[track_caller]
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        self.try_answer(method).unwrap()
    }

    /// The final answer to a request of `method`, or what broke it off.
    pub(crate) fn try_answer(&mut self, method: &str) -> io::Result<Answer> {
        loop {
            let head = self.through(b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&head).into_owned();
            let status = head.get(9..12).and_then(|digits| digits.parse().ok());
            let status: u16 =
                status.ok_or_else(|| io::Error::other(format!("no status: {head:?}")))?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let mut answer = Answer { status, head, body: Vec::new(), trailers: String::new() };
            if method != "HEAD" && !matches!(status, 101 | 204 | 304) {
                self.take_body(&mut answer)?;
            }
            return Ok(answer);
        }
    }

    fn take_body(&mut self, answer: &mut Answer) -> io::Result<()> {
        if let Some(length) = answer.field("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            answer.body = self.bytes(length)?;
        } else if answer.field("transfer-encoding").is_some() {
            loop {
                let line = self.through(b"\r\n")?;
                let size = String::from_utf8_lossy(&line).trim_end().to_owned();
                let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
                if size == 0 {
                    break;
                }
                answer.body.extend(self.bytes(size)?);
                assert_eq!(self.bytes(2)?, b"\r\n", "a chunk ends in CRLF");
            }
            loop {
                let line = self.through(b"\r\n")?;
                if line == b"\r\n" {
                    break;
                }
                answer.trailers.push_str(&String::from_utf8_lossy(&line));
            }
        } else {
            answer.body = self.until_end()?;
        }
        Ok(())
    }

    /// Everything up to and with `end`.
    pub(crate) fn through(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.pending.windows(end.len()).position(|window| window == end) {
                return Ok(self.pending.drain(..at + end.len()).collect());
            }
            self.more()?;
        }
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.pending.len() < count {
            self.more()?;
        }
        Ok(self.pending.drain(..count).collect())
    }

    /// Everything up to an orderly end; an error if the connection was cut instead.
    pub(crate) fn until_end(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => {
                    return Ok(std::mem::take(&mut self.pending));
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Reads once; `ConnectionAborted` stands for an orderly end where more was wanted.
    fn more(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let count = uninterrupted(|| match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(&mut buffer),
            Stream::Tls(tls) => tls.read(&mut buffer),
        })?;
        if count == 0 {
            return Err(io::Error::new(ErrorKind::ConnectionAborted, "the appliance hung up"));
        }
        self.pending.extend(&buffer[..count]);
        Ok(())
    }

    /// Says that nothing more will come, and goes on listening.
    pub(crate) fn finish(&mut self) {
        if let Stream::Tls(tls) = &mut self.stream {
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        }
        self.tcp().shutdown(Shutdown::Write).unwrap();
    }

    /// Says no more without a word of TLS about it, as the kernel does for a program that was killed.
    pub(crate) fn break_off(&mut self) {
        self.tcp().shutdown(Shutdown::Write).unwrap();
    }

    /// Leaves with a reset, as a machine does that loses its process.
    pub(crate) fn vanish(self) {
        set_socket_linger(self.tcp(), Some(Duration::ZERO)).unwrap();
    }
}

fn connect_from(source: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let tcp = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&tcp, &SocketAddrV4::new(source, 0))?;
    connect(&tcp, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(TcpStream::from(tcp))
}
