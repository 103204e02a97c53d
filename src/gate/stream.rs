//! Non-blocking byte streams, and how to wait for them with a deadline.
//!
//! In: the client's side (plain or TLS) and the service's side (TCP or Unix) behind one small trait.
//! Out: what the bytes mean.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::ServerConnection;

/// Ciphertext read from the kernel at once; rustls alone would ask for 4 KiB at a time.
const INPUT_BYTES: usize = 16 << 10;

/// A non-blocking stream: `WouldBlock` means "wait for [`Duplex::descriptor`] and try again".
pub(crate) trait Duplex {
    /// Bytes that have arrived; 0 at the end of the peer's side.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Hands bytes on; what is accepted may still wait inside until [`Duplex::try_flush`] says `Ok`.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Pushes what waits inside into the kernel.
    fn try_flush(&mut self) -> io::Result<()>;

    /// Says that no more bytes will follow, and leaves the other direction open.
    fn finish_writing(&mut self) -> io::Result<()>;

    /// True while bytes can be read without asking the kernel.
    fn holds_input(&mut self) -> bool;

    /// What to wait for.
    fn descriptor(&self) -> BorrowedFd<'_>;
}

/// A descriptor and what to wait for on it. One without flags is left out, for the kernel reports
/// hang-ups even to those who asked for nothing, and a loop around it would spin.
pub(crate) type Interest<'a> = (BorrowedFd<'a>, PollFlags);

/// Waits until one of `interests` is ready and says what is; `None` once `deadline` has passed.
pub(crate) fn wait<const N: usize>(
    interests: [Interest<'_>; N],
    deadline: Instant,
) -> io::Result<Option<[PollFlags; N]>> {
    let mut waited: Vec<PollFd<'_>> = interests
        .iter()
        .filter(|(_, flags)| !flags.is_empty())
        .map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
        .collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut waited, Some(&timespec(left))) {
            Ok(0) if Instant::now() >= deadline => return Ok(None),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break,
            Err(e) => return Err(e.into()),
        }
    }
    let mut ready = waited.iter().map(PollFd::revents);
    let reported = |(_, flags): Interest<'_>| {
        if flags.is_empty() { flags } else { ready.next().unwrap_or(PollFlags::empty()) }
    };
    Ok(Some(interests.map(reported)))
}

/// `duration` for the kernel, rounded up to the next millisecond so that a wait never spins at its end.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    let rounded = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(rounded.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: rounded.subsec_nanos().into(),
    }
}

/// Writes all of `bytes`; each wait without progress ends after `patience` with `TimedOut`.
pub(crate) fn write_all(
    stream: &mut dyn Duplex,
    mut bytes: &[u8],
    patience: Duration,
) -> io::Result<()> {
    let mut deadline = Instant::now() + patience;
    loop {
        let step =
            if bytes.is_empty() { stream.try_flush().map(|()| 0) } else { stream.try_write(bytes) };
        match step {
            Ok(_) if bytes.is_empty() => return Ok(()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                deadline = Instant::now() + patience;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if wait([(stream.descriptor(), PollFlags::OUT)], deadline)?.is_none() {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(e) => return Err(e),
        }
    }
}

/// The client's side of a connection.
pub(crate) struct ClientStream {
    tcp: TcpStream,
    tls: Option<Box<Tls>>,
}

struct Tls {
    connection: ServerConnection,
    /// Ciphertext that rustls has not taken yet; empty and without memory while the connection idles.
    input: Vec<u8>,
    taken: usize,
}

impl ClientStream {
    pub(crate) fn plain(tcp: TcpStream) -> ClientStream {
        ClientStream { tcp, tls: None }
    }

    pub(crate) fn tls(tcp: TcpStream, connection: ServerConnection) -> ClientStream {
        ClientStream { tcp, tls: Some(Box::new(Tls { connection, input: Vec::new(), taken: 0 })) }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// True while bytes of ours wait for the client to read.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.wants_write())
    }

    /// Goes on with the handshake; `WouldBlock` when it is the client's turn.
    ///
    /// # Errors
    /// `InvalidData` when the client broke the protocol or shares no version or suite with us; the
    /// alert has been sent. `Unsupported` when it speaks plain HTTP; nothing has been sent.
    pub(crate) fn try_handshake(&mut self) -> io::Result<()> {
        let ClientStream { tcp, tls } = self;
        let Some(tls) = tls else { return Ok(()) };
        loop {
            if tls.connection.wants_write() {
                tls.flush(tcp)?;
            }
            if !tls.connection.is_handshaking() {
                return Ok(());
            }
            if tls.feed(tcp)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a TLS close alert, if there is TLS, and the end of our side.
    pub(crate) fn say_goodbye(&mut self) {
        let ClientStream { tcp, tls } = self;
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

    /// Gives buffers back while the connection waits for its next request.
    pub(crate) fn rest(&mut self) {
        if let Some(tls) = &mut self.tls
            && tls.taken == tls.input.len()
        {
            tls.input = Vec::new();
            tls.taken = 0;
        }
    }
}

impl Tls {
    /// Moves ciphertext from the kernel into rustls; 0 at the end of the connection.
    fn feed(&mut self, tcp: &mut TcpStream) -> io::Result<usize> {
        if self.taken == self.input.len() {
            self.taken = 0;
            self.input.resize(INPUT_BYTES, 0);
            match tcp.read(&mut self.input) {
                Ok(read) => self.input.truncate(read),
                Err(e) => {
                    self.input.clear();
                    return Err(e);
                }
            }
        }
        let mut unread = self.input.get(self.taken..).unwrap_or_default();
        // A TLS record of a handshake begins with 22 (RFC 8446 section 5.1), a method with a letter.
        if self.connection.is_handshaking() && unread.first().is_some_and(u8::is_ascii_uppercase) {
            return Err(ErrorKind::Unsupported.into());
        }
        let fed = self.connection.read_tls(&mut unread)?;
        self.taken += fed;
        if let Err(e) = self.connection.process_new_packets() {
            let _ = self.flush(tcp); // the alert that tells the client why
            return Err(io::Error::new(ErrorKind::InvalidData, e));
        }
        Ok(fed)
    }

    fn flush(&mut self, tcp: &mut TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(tcp)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    fn read(&mut self, tcp: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.feed(tcp)?;
                    // Key updates and tickets are answered while reading; a full socket is no read error.
                    match self.flush(tcp) {
                        Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e),
                        _ => {}
                    }
                }
                // A peer that hangs up without close_notify ends the stream; HTTP's own framing tells
                // whether something is missing.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
        }
    }
}

impl Duplex for ClientStream {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ClientStream { tcp, tls } = self;
        retry(|| match tls {
            None => tcp.read(buffer),
            Some(tls) => tls.read(tcp, buffer),
        })
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ClientStream { tcp, tls } = self;
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
        let ClientStream { tcp, tls } = self;
        retry(|| tls.as_mut().map_or(Ok(()), |tls| tls.flush(tcp)))
    }

    fn finish_writing(&mut self) -> io::Result<()> {
        let ClientStream { tcp, tls } = self;
        if let Some(tls) = tls {
            tls.connection.send_close_notify();
            retry(|| tls.flush(tcp))?;
        }
        tcp.shutdown(Shutdown::Write)
    }

    fn holds_input(&mut self) -> bool {
        self.tls.as_mut().is_some_and(|tls| {
            tls.taken < tls.input.len()
                || tls
                    .connection
                    .process_new_packets()
                    .is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
        })
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

/// The service's side of an exchange.
pub(crate) enum ServiceStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Duplex for ServiceStream {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retry(|| match self {
            ServiceStream::Tcp(tcp) => tcp.read(buffer),
            ServiceStream::Unix(unix) => unix.read(buffer),
        })
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| match self {
            ServiceStream::Tcp(tcp) => tcp.write(bytes),
            ServiceStream::Unix(unix) => unix.write(bytes),
        })
    }

    fn try_flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish_writing(&mut self) -> io::Result<()> {
        match self {
            ServiceStream::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            ServiceStream::Unix(unix) => unix.shutdown(Shutdown::Write),
        }
    }

    fn holds_input(&mut self) -> bool {
        false
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            ServiceStream::Tcp(tcp) => tcp.as_fd(),
            ServiceStream::Unix(unix) => unix.as_fd(),
        }
    }
}

/// Asks again when a signal came in between.
fn retry<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
