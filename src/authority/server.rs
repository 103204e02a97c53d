//! The authority on the network: plain HTTP/1.1, one thread a connection, every wait bounded.
//!
//! What is asked and answered is sealed, so the transport needs no protection of its own. Each
//! connection carries one question; on the open internet a reverse proxy in front may keep them.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::license::protocol::wire;
use crate::log::Log;
use crate::signals::{Signal, Signals};
use crate::store::Error;
use crate::util::utc;

use super::keyring::Keyring;
use super::service::Service;

/// Connections at a time; each has a thread with a small stack.
const MAX_CONNECTIONS: usize = 2_000;

/// Bytes; a question needs far less at its deepest.
const STACK_BYTES: usize = 512 * 1024;

/// For a whole request to arrive, and again for the answer to leave.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a stop waits for what is being answered.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of request line and header fields.
const MAX_HEAD_BYTES: usize = 8_192;

/// Header fields.
const MAX_FIELDS: usize = 64;

/// Answers appliances at `address` until SIGTERM or SIGINT; `announce` gets the lines to print.
///
/// # Errors
/// When another one serves this folder, the address can't be had, or there are no keys.
pub(crate) fn serve(
    dir: &Path,
    address: SocketAddr,
    log: &Log,
    announce: impl Fn(&str),
) -> Result<(), Error> {
    let service = Arc::new(Service::open(dir, log.clone())?);
    let _lock = lock_folder(dir)?;
    // `init` or `rotate` may have been cut short between the keys and the file that follows from them.
    Keyring::load(dir)?.write_trust(dir)?;
    let failed = |what: &str, error: &io::Error| Error::Failed(format!("cannot {what}: {error}"));
    let listener = TcpListener::bind(address)
        .map_err(|error| failed(&format!("listen on {address}"), &error))?;
    let bound = listener.local_addr().map_err(|error| failed("listen", &error))?;
    let mut signals = Signals::listen().map_err(|error| failed("catch signals", &error))?;
    let open = Arc::new(Open::default());
    let (accepting, counted) = (log.clone(), Arc::clone(&open));
    let spawned = thread::Builder::new()
        .name("accept".to_owned())
        .spawn(move || accept(&listener, &service, &counted, &accepting));
    spawned.map_err(|error| failed("start a thread", &error))?;
    announce(&format!("listening on {bound}"));
    announce("ready");
    while signals.wait().map_err(|error| failed("wait for signals", &error))? != Signal::Stop {}
    log.info("stopping");
    // A question that is cut off here is asked again and gets the same answer.
    open.drain(DRAIN_TIMEOUT);
    Ok(())
}

fn lock_folder(dir: &Path) -> Result<std::fs::File, Error> {
    let path = dir.join("serve.lock");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| Error::system("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::Busy(format!(
            "another `license-authority serve` uses {}: stop it first",
            dir.display()
        ))),
    }
}

/// Open connections.
#[derive(Default)]
struct Open {
    count: Mutex<usize>,
    none: Condvar,
}

impl Open {
    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is none, at most so long.
    fn drain(&self, limit: Duration) {
        drop(self.none.wait_timeout_while(self.count(), limit, |count| *count > 0));
    }
}

/// Counts an open connection for as long as it lives.
struct Slot(Arc<Open>);

impl Slot {
    /// `None` when there are too many.
    fn take(open: &Arc<Open>) -> Option<Slot> {
        let mut count = open.count();
        if *count >= MAX_CONNECTIONS {
            return None;
        }
        *count += 1;
        Some(Slot(Arc::clone(open)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut count = self.0.count();
        *count -= 1;
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}

fn accept(listener: &TcpListener, service: &Arc<Service>, open: &Arc<Open>, log: &Log) {
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                // Out of descriptors or memory: others have to finish first.
                log.error(format_args!("cannot accept a connection: {error}"));
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let Some(slot) = Slot::take(open) else { continue };
        let service = Arc::clone(service);
        let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let _slot = slot;
            // Whoever went away asks again.
            let _ = serve_connection(stream, peer.ip(), &service);
        });
        if let Err(error) = spawned {
            log.error(format_args!("cannot start a thread: {error}"));
        }
    }
}

/// One request and its answer.
fn serve_connection(mut stream: TcpStream, peer: IpAddr, service: &Service) -> io::Result<()> {
    stream.set_write_timeout(Some(TIMEOUT))?;
    let answer = match receive(&mut stream, Instant::now() + TIMEOUT)? {
        Ok(Request::Question(body)) => {
            let response = service.respond(&body, peer, utc::unix_seconds(SystemTime::now()));
            http(response.status, "application/json", "", &response.body)
        }
        Ok(Request::HealthCheck) => http(200, "text/plain", "", b"license authority\n"),
        Err(Rejection { status, field }) => {
            http(status, "text/plain", field, format!("{}\n", reason(status)).as_bytes())
        }
    };
    stream.write_all(&answer)?;
    stream.shutdown(Shutdown::Write)?;
    // Closing on unread bytes would make the kernel reset the connection before the answer is read.
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    io::copy(&mut stream.take(wire::LARGEST as u64), &mut io::sink()).map(|_| ())
}

enum Request {
    Question(Vec<u8>),
    /// `GET /`: somebody looks whether we are here.
    HealthCheck,
}

struct Rejection {
    status: u16,
    /// A header field, with its line end.
    field: &'static str,
}

const fn rejection(status: u16) -> Rejection {
    Rejection { status, field: "" }
}

/// Reads one request; the outer error means that nobody is there to be answered.
fn receive(stream: &mut TcpStream, end: Instant) -> io::Result<Result<Request, Rejection>> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        match understand(&bytes) {
            Ok(Some(Head { length: None, .. })) => return Ok(Ok(Request::HealthCheck)),
            Ok(Some(Head { bytes, length: Some(length), waits })) => {
                if waits {
                    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
                break (bytes, length);
            }
            Ok(None) if bytes.len() >= MAX_HEAD_BYTES => return Ok(Err(rejection(431))),
            Ok(None) => more(stream, &mut bytes, end)?,
            Err(rejected) => return Ok(Err(rejected)),
        }
    };
    while bytes.len() < head + length {
        more(stream, &mut bytes, end)?;
    }
    bytes.truncate(head + length);
    Ok(Ok(Request::Question(bytes.split_off(head))))
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>, end: Instant) -> io::Result<()> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    let mut piece = [0; 4_096];
    match stream.read(&mut piece)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            bytes.extend_from_slice(&piece[..count]);
            Ok(())
        }
    }
}

/// What a head says; no length means that it is a [`Request::HealthCheck`].
struct Head {
    bytes: usize,
    length: Option<usize>,
    /// Whether the client waits for `100 Continue`.
    waits: bool,
}

/// Understands a request's head; `None` while it is not whole.
fn understand(bytes: &[u8]) -> Result<Option<Head>, Rejection> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(rejection(431)),
        Err(_) => return Err(rejection(400)),
    };
    // A proxy may leave the target in the form it got it in.
    let target = request.path.unwrap_or_default();
    let path = match target.split_once("://").map(|(_, rest)| rest.split_once('/')) {
        Some(Some((_, path))) => format!("/{path}"),
        _ => target.to_owned(),
    };
    match (request.method.unwrap_or_default(), path.as_str()) {
        ("GET", "/") => return Ok(Some(Head { bytes: head, length: None, waits: false })),
        ("POST", wire::PATH) => {}
        (_, wire::PATH) => return Err(Rejection { status: 405, field: "Allow: POST\r\n" }),
        _ => return Err(rejection(404)),
    }
    let (mut length, mut waits) = (None, false);
    for field in &*request.headers {
        let value = std::str::from_utf8(field.value).unwrap_or_default().trim();
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(rejection(411));
        } else if field.name.eq_ignore_ascii_case("content-length") {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse::<usize>().unwrap_or(usize::MAX);
            if !digits || length.is_some_and(|length| length != number) {
                return Err(rejection(400));
            }
            length = Some(number);
        } else if field.name.eq_ignore_ascii_case("expect") {
            waits = value.eq_ignore_ascii_case("100-continue");
        }
    }
    match length {
        None => Err(rejection(411)),
        Some(length) if length > wire::LARGEST => Err(rejection(413)),
        Some(length) => Ok(Some(Head { bytes: head, length: Some(length), waits })),
    }
}

fn http(status: u16, content_type: &str, field: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n{field}Connection: close\r\n\r\n",
        reason(status),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use super::{Head, Open, Rejection, Slot, understand};

    #[test]
    fn a_stop_waits_for_the_last_connection() {
        let open = Arc::new(Open::default());
        open.drain(Duration::MAX); // nobody is there
        let (slot, counted) = (Slot::take(&open), Arc::clone(&open));
        let last = std::thread::spawn(move || drop(slot));
        open.drain(Duration::MAX);
        assert_eq!(*counted.count(), 0);
        last.join().unwrap();
        let _still_here = Slot::take(&open);
        open.drain(Duration::from_millis(10));
        assert_eq!(*counted.count(), 1);
    }

    fn status(head: &str) -> u16 {
        match understand(head.as_bytes()) {
            Ok(Some(Head { length: Some(_), .. })) => 0,
            Ok(Some(Head { length: None, .. })) => 200,
            Ok(None) => 1,
            Err(Rejection { status, .. }) => status,
        }
    }

    #[test]
    fn only_one_kind_of_request_is_let_through() {
        let post = |fields: &str| format!("POST /v1/license HTTP/1.1\r\n{fields}\r\n");
        for (head, wanted) in [
            (post("Content-Length: 10\r\n"), 0),
            ("POST http://licensing.example.com/v1/license HTTP/1.1\r\nContent-Length: 1\r\n\r\n".into(), 0),
            ("GET / HTTP/1.1\r\n\r\n".into(), 200),
            ("GET /v1/license HTTP/1.1\r\n\r\n".into(), 405),
            ("GET /etc/passwd HTTP/1.1\r\n\r\n".into(), 404),
            (post(""), 411),
            (post("Transfer-Encoding: chunked\r\n"), 411),
            (post("Content-Length: 10\r\nTransfer-Encoding: chunked\r\n"), 411),
            (post("Content-Length: 65537\r\n"), 413),
            (post("Content-Length: 99999999999999999999999\r\n"), 413),
            (post("Content-Length: +1\r\n"), 400),
            (post("Content-Length: \r\n"), 400),
            (post("Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
            (post(&"A: b\r\n".repeat(65)), 431),
            ("\u{1}\r\n\r\n".into(), 400),
            ("POST /v1/license HT".into(), 1),
        ] {
            assert_eq!(status(&head), wanted, "{head}");
        }
    }
}
