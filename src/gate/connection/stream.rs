//! The client's side of a connection: TCP with or without TLS.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustls::{ProtocolVersion, ServerConnection};

use super::record_boundaries::RecordBoundaries;
use crate::gate::io::duplex::Duplex;
use crate::gate::io::readiness::{Readiness, retry};

/// Ciphertext read from the kernel at once: two records of the largest size, less a few bytes. rustls itself would
/// read 4 KiB at a time.
const CIPHERTEXT_BYTES: usize = 32 << 10;

/// Plaintext of the largest record (RFC 8446 section 5.1).
const RECORD_BYTES: usize = 16 << 10;

thread_local! {
    /// The buffer for ciphertext: one for each thread, so that an idle connection needs none. A connection keeps
    /// it for as long as rustls has not taken all that it holds.
    static CIPHERTEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A non-blocking connection to a client.
pub(crate) struct ClientStream {
    tcp: TcpStream,
    readiness: Readiness,
    tls: Option<Box<Tls>>,
}

struct Tls {
    connection: ServerConnection,
    /// Ciphertext; empty if rustls has taken all of it.
    ciphertext: Vec<u8>,
    /// Which part of `ciphertext` rustls has not taken yet.
    untaken: Range<usize>,
    /// Of the records that rustls has taken.
    boundaries: RecordBoundaries,
    /// Why nothing follows the plaintext that has arrived; told when that has been read.
    failure: Option<io::Error>,
    /// The first byte has arrived.
    begun: bool,
}

impl ClientStream {
    pub(crate) fn plain(tcp: TcpStream) -> ClientStream {
        ClientStream { tcp, readiness: Readiness::new(), tls: None }
    }

    pub(crate) fn tls(tcp: TcpStream, connection: ServerConnection) -> ClientStream {
        let mut stream = ClientStream::plain(tcp);
        stream.begin_tls(connection, Vec::new());
        stream
    }

    /// Adds TLS, which begins with `ciphertext`.
    pub(crate) fn begin_tls(&mut self, connection: ServerConnection, ciphertext: Vec<u8>) {
        let untaken = 0..ciphertext.len();
        let (boundaries, failure, begun) = (RecordBoundaries::default(), None, false);
        let tls = Tls { connection, ciphertext, untaken, boundaries, failure, begun };
        self.tls = Some(Box::new(tls));
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// True if the client has closed its side of the TCP connection.
    pub(crate) fn is_read_closed(&self) -> bool {
        self.readiness.is_read_closed()
    }

    /// True if the client of a TLS connection has closed its side of TCP, perhaps without a close_notify.
    pub(crate) fn may_be_truncated(&self) -> bool {
        self.tls.is_some() && self.is_read_closed()
    }

    /// See [`Readiness::register`].
    pub(crate) fn register(
        &mut self,
        epoll: &Arc<OwnedFd>,
        token: u64,
        writing: bool,
    ) -> io::Result<bool> {
        self.readiness.register(&self.tcp, epoll, token, writing)
    }

    /// True while TLS has bytes that the client has not accepted.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.wants_write())
    }

    /// True if the client of a TLS connection has sent anything.
    pub(crate) fn has_received(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.begun)
    }

    /// True if the handshake has negotiated TLS 1.3.
    pub(crate) fn is_tls13(&self) -> bool {
        let version = self.tls.as_ref().and_then(|tls| tls.connection.protocol_version());
        version == Some(ProtocolVersion::TLSv1_3)
    }

    /// The protocol that the handshake has negotiated by ALPN.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.connection.alpn_protocol()
    }

    /// Continues the handshake; `WouldBlock` when it is the client's turn.
    ///
    /// # Errors
    /// `InvalidData` when the client violates the protocol or shares no version or suite with us; the alert has
    /// been sent. `Unsupported` when the client speaks plain HTTP; nothing has been sent.
    pub(crate) fn try_handshake(&mut self) -> io::Result<()> {
        let ClientStream { tcp, readiness, tls } = self;
        let Some(tls) = tls else { return Ok(()) };
        loop {
            if tls.connection.wants_write() {
                tls.flush(tcp)?;
            }
            if !tls.connection.is_handshaking() {
                return Ok(());
            }
            if tls.feed(tcp, readiness)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a close_notify, if there is TLS, and closes our side of TCP.
    pub(crate) fn close_write(&mut self) {
        let ClientStream { tcp, tls, .. } = self;
        if let Some(tls) = tls {
            tls.connection.send_close_notify();
            let _ = tls.flush(tcp);
        }
        let _ = tcp.shutdown(Shutdown::Write);
    }

    /// Removes TLS: what follows is sent as plain text.
    pub(crate) fn drop_tls(&mut self) {
        self.tls = None;
    }
}

impl Tls {
    /// Moves ciphertext from the kernel into rustls; returns 0 at the end of the connection.
    fn feed(&mut self, tcp: &mut TcpStream, readiness: &mut Readiness) -> io::Result<usize> {
        let mut input = std::mem::take(&mut self.ciphertext);
        if self.untaken.is_empty() {
            input = CIPHERTEXT.take();
            input.resize(CIPHERTEXT_BYTES, 0);
            match readiness.read(&mut *tcp, &mut input) {
                Ok(read) => self.untaken = 0..read,
                Err(e) => {
                    CIPHERTEXT.set(input);
                    return Err(e);
                }
            }
        }
        let arrived = self.untaken.len();
        let taken = self.take(tcp, input.get(self.untaken.clone()).unwrap_or_default());
        self.untaken.start += *taken.as_ref().unwrap_or(&arrived);
        if self.untaken.is_empty() {
            CIPHERTEXT.set(input);
        } else {
            self.ciphertext = input;
        }
        taken.map(|_| arrived)
    }

    /// Passes `arrived` to rustls until there is plaintext to read, and returns how much it took.
    ///
    /// Each portion ends with the header of the next record. After a whole number of records rustls would make its
    /// buffer anew; and each time it is asked in the middle of a record, it moves what it has of that to where it is
    /// already, which musl's `memmove` does byte by byte.
    fn take(&mut self, tcp: &mut TcpStream, arrived: &[u8]) -> io::Result<usize> {
        if !self.begun
            && let Some(first) = arrived.first()
        {
            self.begun = true;
            // A handshake record begins with 22 (RFC 8446 section 5.1), an HTTP method with a letter. Later
            // pieces may begin with any byte.
            if first.is_ascii_uppercase() {
                return Err(ErrorKind::Unsupported.into());
            }
        }
        let mut unread = arrived;
        loop {
            let mut portion = unread.get(..self.boundaries.portion(unread)).unwrap_or_default();
            let taken = self.connection.read_tls(&mut portion)?;
            let tells = self.boundaries.pass(unread.get(..taken).unwrap_or_default());
            unread = unread.get(taken..).unwrap_or_default();
            if taken > 0 && !tells {
                match unread {
                    [] => return Ok(arrived.len()),
                    _ => continue,
                }
            }
            match self.connection.process_new_packets() {
                // Bytes after a close_notify are ignored (RFC 8446 section 6.1).
                Ok(_) if taken == 0 => return Ok(arrived.len()),
                Ok(state) if unread.is_empty() || state.plaintext_bytes_to_read() > 0 => {
                    return Ok(arrived.len() - unread.len());
                }
                Ok(_) => {}
                Err(e) => {
                    let _ = self.flush(tcp); // the alert that tells the client why
                    return Err(io::Error::new(ErrorKind::InvalidData, e));
                }
            }
        }
    }

    fn flush(&mut self, tcp: &mut TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(tcp)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Reads the plaintext of as many large records as `buffer` has room for, so that they are passed on together. Of
    /// small ones, which cost as much work each, it reads no more than as many portions of ciphertext hold.
    fn read(
        &mut self,
        tcp: &mut TcpStream,
        readiness: &mut Readiness,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let mut filled = 0;
        for _ in 0..=buffer.len().div_ceil(RECORD_BYTES) {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            match self.read_portion(tcp, readiness, room) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if filled == 0 => return Err(e),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => {
                    self.failure = Some(e);
                    break;
                }
            }
            if filled == buffer.len() {
                break;
            }
        }
        Ok(filled)
    }

    /// Reads the plaintext of the next portion of ciphertext, or of an earlier one.
    fn read_portion(
        &mut self,
        tcp: &mut TcpStream,
        readiness: &mut Readiness,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if let Some(e) = self.failure.take() {
                        return Err(e);
                    }
                    match self.feed(tcp, readiness) {
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(e),
                        Err(e) => self.failure = Some(e),
                        // Key updates and tickets are sent while reading; a full socket is not a read error.
                        Ok(_) => match self.flush(tcp) {
                            Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e),
                            _ => {}
                        },
                    }
                }
                // A close without close_notify is a truncation, not a half-close (RFC 8446 section 6.1).
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                    return Err(io::Error::new(ErrorKind::ConnectionAborted, "no close_notify"));
                }
                other => return other,
            }
        }
    }
}

impl Duplex for ClientStream {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ClientStream { tcp, readiness, tls } = self;
        match tls {
            None => readiness.read(tcp, buffer),
            Some(tls) => tls.read(tcp, readiness, buffer),
        }
    }

    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let ClientStream { tcp, tls, .. } = self;
        retry(|| match tls {
            None => tcp.write_vectored(pieces),
            Some(tls) => {
                // Flush first, because rustls would accept 64 KiB more while the client reads nothing.
                tls.flush(tcp)?;
                let accepted = tls.connection.writer().write_vectored(pieces)?;
                match tls.flush(tcp) {
                    Err(e) if e.kind() != ErrorKind::WouldBlock => Err(e),
                    _ => Ok(accepted),
                }
            }
        })
    }

    fn try_flush(&mut self) -> io::Result<()> {
        let ClientStream { tcp, tls, .. } = self;
        retry(|| tls.as_mut().map_or(Ok(()), |tls| tls.flush(tcp)))
    }

    fn finish_writing(&mut self) -> io::Result<()> {
        let ClientStream { tcp, tls, .. } = self;
        if let Some(tls) = tls {
            tls.connection.send_close_notify();
            retry(|| tls.flush(tcp))?;
        }
        tcp.shutdown(Shutdown::Write)
    }

    fn set_readable(&mut self, read_closed: bool) {
        self.readiness.set_readable(read_closed);
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}
