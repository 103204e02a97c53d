//! A service behind the gate that does exactly what a test says and keeps every byte it was sent.
//!
//! In: connections, recording, reading a request as a service would. Out: any manners; those are the test's.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_linger;

use super::wait::uninterrupted;

/// Bytes kept of each connection; what is longer is a body that a test sums up instead.
const KEPT: usize = 1 << 20;

/// How long a service waits for bytes that a test has promised.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running service; its threads end with the test program.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    records: Arc<Records>,
}

/// What came, one entry a connection.
type Records = Mutex<Vec<Vec<u8>>>;

/// One connection from the gate.
pub(crate) struct Visit {
    line: Line,
    /// Read and not yet taken.
    pending: Vec<u8>,
    /// Which connection this is, counted from 0.
    pub(crate) number: usize,
    records: Arc<Records>,
}

enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stub {
    /// Plays `part` on every connection, each on a thread of its own; the connection closes when it returns.
    pub(crate) fn start(part: impl Fn(&mut Visit) + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let records = Arc::new(Records::default());
        let lines =
            std::iter::from_fn(move || listener.accept().ok().map(|(tcp, _)| Line::Tcp(tcp)));
        serve(lines, &records, part);
        Stub { address, records }
    }

    /// Plays `part` on every connection to a Unix socket; `address` means nothing then.
    pub(crate) fn start_unix(
        path: &Path,
        part: impl Fn(&mut Visit) + Send + Sync + 'static,
    ) -> Stub {
        let listener = UnixListener::bind(path).unwrap();
        let records = Arc::new(Records::default());
        let lines =
            std::iter::from_fn(move || listener.accept().ok().map(|(unix, _)| Line::Unix(unix)));
        serve(lines, &records, part);
        Stub { address: SocketAddr::from(([0, 0, 0, 0], 0)), records }
    }

    /// Answers every request with 200 and `body`, once it is complete.
    pub(crate) fn answering(body: &'static str) -> Stub {
        Stub::start(move |visit| {
            while visit.request().is_some() {
                visit.say(ok(body).as_bytes());
            }
        })
    }

    /// Every byte that came, one entry a connection, as far as [`KEPT`].
    pub(crate) fn recorded(&self) -> Vec<Vec<u8>> {
        self.records.lock().unwrap().clone()
    }

    /// Every byte that came, as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.recorded().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    pub(crate) fn forget(&self) {
        self.records.lock().unwrap().iter_mut().for_each(Vec::clear);
    }
}

/// An answer of known length.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn serve(
    lines: impl Iterator<Item = Line> + Send + 'static,
    records: &Arc<Records>,
    part: impl Fn(&mut Visit) + Send + Sync + 'static,
) {
    let (records, part) = (Arc::clone(records), Arc::new(part));
    std::thread::spawn(move || {
        for line in lines {
            let (records, part) = (Arc::clone(&records), Arc::clone(&part));
            let number = {
                let mut all = records.lock().unwrap();
                all.push(Vec::new());
                all.len() - 1
            };
            std::thread::spawn(move || {
                line.set_patience();
                part(&mut Visit { line, pending: Vec::new(), number, records });
            });
        }
    });
}

impl Visit {
    /// The next head with its empty line; `None` if the gate hangs up first.
    pub(crate) fn head(&mut self) -> Option<String> {
        let head = self.through(b"\r\n\r\n")?;
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    /// Everything up to and with `end`.
    pub(crate) fn through(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.pending.windows(end.len()).position(|window| window == end) {
                return Some(self.pending.drain(..at + end.len()).collect());
            }
            self.more()?;
        }
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.pending.len() < count {
            self.more()?;
        }
        Some(self.pending.drain(..count).collect())
    }

    /// A head and its body, framing of chunks included.
    pub(crate) fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head()?;
        let body = match field(&head, "content-length") {
            Some(length) => self.bytes(length.parse().ok()?)?,
            None if field(&head, "transfer-encoding").is_some() => self.chunks()?,
            None => Vec::new(),
        };
        Some((head, body))
    }

    /// A chunked body as it stands on the wire, its last chunk and trailers included.
    pub(crate) fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut wire = Vec::new();
        loop {
            let line = self.through(b"\r\n")?;
            let size = std::str::from_utf8(&line).ok()?.trim_end();
            let size = usize::from_str_radix(size, 16).ok()?;
            wire.extend(&line);
            if size == 0 {
                loop {
                    let trailer = self.through(b"\r\n")?;
                    wire.extend(&trailer);
                    if trailer == b"\r\n" {
                        return Some(wire);
                    }
                }
            }
            wire.extend(self.bytes(size + 2)?);
        }
    }

    /// What has come next, whatever it is; empty at the end of the connection.
    pub(crate) fn some(&mut self) -> Vec<u8> {
        if self.pending.is_empty() {
            let _ = self.more();
        }
        std::mem::take(&mut self.pending)
    }

    /// Sends; false if the gate takes no more.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> bool {
        self.line.write_all(bytes).is_ok()
    }

    /// Waits until the gate has hung up.
    pub(crate) fn await_end(&mut self) {
        while self.more().is_some() {}
    }

    /// Says that nothing more will come, and goes on listening.
    pub(crate) fn finish(&mut self) {
        let _ = match &self.line {
            Line::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Line::Unix(unix) => unix.shutdown(Shutdown::Write),
        };
    }

    /// True once the gate has hung up on a service that does not read.
    pub(crate) fn gate_has_gone(&self) -> bool {
        let descriptor = match &self.line {
            Line::Tcp(tcp) => tcp.as_fd(),
            Line::Unix(unix) => unix.as_fd(),
        };
        let mut waited = [PollFd::from_borrowed_fd(descriptor, PollFlags::RDHUP)];
        let asked = poll(&mut waited, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        asked.is_ok() && !waited[0].revents().is_empty()
    }

    /// Makes the close a reset.
    pub(crate) fn close_hard(&mut self) {
        if let Line::Tcp(tcp) = &self.line {
            let _ = set_socket_linger(tcp, Some(Duration::ZERO));
        }
    }

    /// Reads once; `None` at the end, on an error and when nothing comes for too long.
    fn more(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 << 10];
        let read = uninterrupted(|| self.line.read(&mut buffer));
        let count = read.ok().filter(|count| *count > 0)?;
        self.pending.extend(&buffer[..count]);
        let mut records = self.records.lock().unwrap();
        let kept = &mut records[self.number];
        let room = KEPT.saturating_sub(kept.len()).min(count);
        kept.extend(&buffer[..room]);
        Some(())
    }
}

/// The value of a field in a head, if it stands there.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

impl Line {
    fn set_patience(&self) {
        let _ = match self {
            Line::Tcp(tcp) => {
                tcp.set_nodelay(true).and_then(|()| tcp.set_read_timeout(Some(PATIENCE)))
            }
            Line::Unix(unix) => unix.set_read_timeout(Some(PATIENCE)),
        };
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Tcp(tcp) => tcp.read(buffer),
            Line::Unix(unix) => unix.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Line::Tcp(tcp) => tcp.write(bytes),
            Line::Unix(unix) => unix.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
