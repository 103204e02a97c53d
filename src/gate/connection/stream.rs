//! The client's side of a connection: TCP, with TLS on it or without.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustls::ServerConnection;

use crate::gate::io::duplex::Duplex;
use crate::gate::io::readiness::{Readiness, retry};

/// Ciphertext read from the kernel at once; rustls alone would ask for 4 KiB at a time.
const INPUT_BYTES: usize = 16 << 10;

thread_local! {
    /// Where ciphertext arrives: one for each thread, so that an idle connection needs none.
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Never blocks.
pub(crate) struct ClientStream {
    tcp: TcpStream,
    watched: Readiness,
    tls: Option<Box<Tls>>,
}

struct Tls {
    connection: ServerConnection,
    /// Ciphertext that rustls has not taken yet, from `taken` on.
    input: Vec<u8>,
    taken: usize,
    /// Its first byte has come.
    begun: bool,
}

impl ClientStream {
    pub(crate) fn plain(tcp: TcpStream) -> ClientStream {
        ClientStream { tcp, watched: Readiness::new(), tls: None }
    }

    pub(crate) fn tls(tcp: TcpStream, connection: ServerConnection) -> ClientStream {
        let tls = Tls { connection, input: Vec::new(), taken: 0, begun: false };
        ClientStream { tcp, watched: Readiness::new(), tls: Some(Box::new(tls)) }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The client has said that nothing more will come, as far as TCP goes.
    pub(crate) fn is_ending(&self) -> bool {
        self.watched.is_ending()
    }

    /// The same, with TLS that may not know of it.
    pub(crate) fn may_be_cut_off(&self) -> bool {
        self.tls.is_some() && self.is_ending()
    }

    /// See [`Readiness::report`].
    pub(crate) fn report(
        &mut self,
        epoll: &Arc<OwnedFd>,
        token: u64,
        writing: bool,
    ) -> io::Result<()> {
        self.watched.report(&self.tcp, epoll, token, writing)
    }

    /// True while bytes of ours wait for the client to read.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.wants_write())
    }

    /// The client has sent something, if this is TLS.
    pub(crate) fn has_spoken(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.begun)
    }

    /// Goes on with the handshake; `WouldBlock` when it is the client's turn.
    ///
    /// # Errors
    /// `InvalidData` when the client broke the protocol or shares no version or suite with us; the
    /// alert has been sent. `Unsupported` when it speaks plain HTTP; nothing has been sent.
    pub(crate) fn try_handshake(&mut self) -> io::Result<()> {
        let ClientStream { tcp, watched, tls } = self;
        let Some(tls) = tls else { return Ok(()) };
        loop {
            if tls.connection.wants_write() {
                tls.flush(tcp)?;
            }
            if !tls.connection.is_handshaking() {
                return Ok(());
            }
            if tls.feed(tcp, watched)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a TLS close alert, if there is TLS, and the end of our side.
    pub(crate) fn close_write(&mut self) {
        let ClientStream { tcp, tls, .. } = self;
        if let Some(tls) = tls {
            tls.connection.send_close_notify();
            let _ = tls.flush(tcp);
        }
        let _ = tcp.shutdown(Shutdown::Write);
    }

    /// Leaves TLS aside: what follows is written as plain text.
    pub(crate) fn drop_tls(&mut self) {
        self.tls = None;
    }
}

impl Tls {
    /// Moves ciphertext from the kernel into rustls; 0 at the end of the connection.
    fn feed(&mut self, tcp: &mut TcpStream, watched: &mut Readiness) -> io::Result<usize> {
        if self.taken < self.input.len() {
            let input = std::mem::take(&mut self.input);
            let taken = self.take(tcp, input.get(self.taken..).unwrap_or_default())?;
            self.taken += taken;
            if self.taken < input.len() {
                self.input = input;
            }
            return Ok(taken);
        }
        INPUT.with_borrow_mut(|input| {
            input.resize(INPUT_BYTES, 0);
            let read = watched.read(&mut *tcp, input)?;
            let arrived = input.get(..read).unwrap_or_default();
            let taken = self.take(tcp, arrived)?;
            self.input = arrived.get(taken..).unwrap_or_default().to_vec();
            self.taken = 0;
            Ok(read)
        })
    }

    /// Hands `arrived` to rustls until it has something for us to read, and says how much it took.
    fn take(&mut self, tcp: &mut TcpStream, arrived: &[u8]) -> io::Result<usize> {
        if !self.begun
            && let Some(first) = arrived.first()
        {
            self.begun = true;
            // A TLS record of a handshake begins with 22 (RFC 8446 section 5.1), a method with a letter;
            // what comes behind it in pieces begins with anything.
            if first.is_ascii_uppercase() {
                return Err(ErrorKind::Unsupported.into());
            }
        }
        let mut unread = arrived;
        loop {
            let more = self.connection.read_tls(&mut unread)? > 0;
            match self.connection.process_new_packets() {
                // What follows a close_notify is nobody's (RFC 8446 section 6.1).
                Ok(_) if !more => return Ok(arrived.len()),
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

    fn read(
        &mut self,
        tcp: &mut TcpStream,
        watched: &mut Readiness,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.feed(tcp, watched)?;
                    // Key updates and tickets are answered while reading; a full socket is no read error.
                    match self.flush(tcp) {
                        Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e),
                        _ => {}
                    }
                }
                // Whoever hangs up without close_notify has gone, and not just said all (RFC 8446 section 6.1).
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
        let ClientStream { tcp, watched, tls } = self;
        match tls {
            None => watched.read(tcp, buffer),
            Some(tls) => tls.read(tcp, watched, buffer),
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ClientStream { tcp, tls, .. } = self;
        retry(|| match tls {
            None => tcp.write(bytes),
            Some(tls) => {
                // Flush first: rustls would accept 64 KiB more while the client reads nothing.
                tls.flush(tcp)?;
                let accepted = tls.connection.writer().write(bytes)?;
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

    fn note_readable(&mut self, ending: bool) {
        self.watched.note_readable(ending);
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}
