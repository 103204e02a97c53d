//! The authority on the network: plain HTTP/1.1, one thread per connection, every wait has a limit.
//!
//! Requests and answers are sealed, so the transport needs no protection of its own. Each connection
//! carries one request; on the open internet a reverse proxy in front may keep connections alive.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::http::head::{HeadBuffer, RequestHead};
use crate::http::status::phrase;
use crate::license::protocol::wire;
use crate::log::Log;
use crate::signals::{Signal, Signals};
use crate::store::Error;
use crate::util::semaphore::Semaphore;
use crate::util::utc;

use super::keyring::Keyring;
use super::service::Service;

/// Connections at a time; each has a thread with a small stack.
const MAX_CONNECTIONS: usize = 2_000;

/// Bytes; a request needs far less at its deepest.
const STACK_BYTES: usize = 512 * 1024;

/// Time for a whole request to arrive, and again for the answer to leave.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a stop waits for connections to finish.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of request line and header fields that may arrive before the head is complete.
const MAX_HEAD_BYTES: usize = 8_192;

/// Answers appliances at `address` until SIGTERM or SIGINT; `announce` gets the lines to print.
///
/// # Errors
/// When another process serves this folder, the address can't be bound, or there are no keys.
pub(crate) fn run(
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
    let connections = Semaphore::new(MAX_CONNECTIONS);
    let (accept_log, limit) = (log.clone(), Arc::clone(&connections));
    let spawned = thread::Builder::new()
        .name("accept".to_owned())
        .spawn(move || accept(&listener, &service, &limit, &accept_log));
    spawned.map_err(|error| failed("start a thread", &error))?;
    announce(&format!("listening on {bound}"));
    announce("ready");
    while signals.wait(None).map_err(|error| failed("wait for signals", &error))?
        != Some(Signal::Shutdown)
    {}
    log.info("stopping");
    // An appliance whose request is cut off here sends it again and gets the same answer.
    connections.wait_idle(Instant::now() + DRAIN_TIMEOUT);
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

fn accept(listener: &TcpListener, service: &Arc<Service>, limit: &Arc<Semaphore>, log: &Log) {
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                // Out of descriptors or memory: other connections have to finish first.
                log.error(format_args!("cannot accept a connection: {error}"));
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let Some(permit) = limit.try_acquire() else { continue };
        let service = Arc::clone(service);
        let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let _permit = permit;
            // An appliance whose connection failed asks again.
            let _ = serve_connection(stream, peer.ip(), &service);
        });
        if let Err(error) = spawned {
            log.error(format_args!("cannot start a thread for a connection: {error}"));
        }
    }
}

/// Reads one request and answers it.
fn serve_connection(mut stream: TcpStream, peer: IpAddr, service: &Service) -> io::Result<()> {
    stream.set_write_timeout(Some(TIMEOUT))?;
    let answer = match receive(&mut stream, Instant::now() + TIMEOUT)? {
        Ok(Request::Sealed(body)) => {
            let response = service.respond(&body, peer, utc::unix_seconds(SystemTime::now()));
            http(response.status, "application/json", "", &response.body)
        }
        Ok(Request::HealthCheck) => http(200, "text/plain", "", b"license authority\n"),
        Err(Rejection { status, field }) => {
            http(status, "text/plain", field, format!("{}\n", phrase(status)).as_bytes())
        }
    };
    stream.write_all(&answer)?;
    stream.shutdown(Shutdown::Write)?;
    // Closing on unread bytes would make the kernel reset the connection before the answer is read.
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    io::copy(&mut stream.take(wire::LARGEST as u64), &mut io::sink()).map(|_| ())
}

enum Request {
    /// `POST` to [`wire::PATH`] with this body.
    Sealed(Vec<u8>),
    /// `GET /`: a load balancer or a person checks whether the authority is up.
    HealthCheck,
}

#[derive(Debug, PartialEq, Eq)]
struct Rejection {
    status: u16,
    /// A header field, with its line end.
    field: &'static str,
}

const fn rejection(status: u16) -> Rejection {
    Rejection { status, field: "" }
}

/// Reads one request; the outer error means that the client is gone or too slow.
fn receive(stream: &mut TcpStream, end: Instant) -> io::Result<Result<Request, Rejection>> {
    let mut buffer = HeadBuffer::default();
    let framing = loop {
        match parse(&mut buffer) {
            Ok(Some(framing)) => break framing,
            Ok(None) => buffer.extend(&read(stream, end)?),
            Err(rejection) => return Ok(Err(rejection)),
        }
    };
    let Framing { length: Some(length), expects_continue } = framing else {
        return Ok(Ok(Request::HealthCheck));
    };
    if expects_continue {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = buffer.take_rest();
    while body.len() < length {
        body.extend_from_slice(&read(stream, end)?);
    }
    body.truncate(length);
    Ok(Ok(Request::Sealed(body)))
}

fn read(stream: &mut TcpStream, end: Instant) -> io::Result<Vec<u8>> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    stream.set_read_timeout(Some(left))?;
    let mut piece = vec![0; 4_096];
    match stream.read(&mut piece)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            piece.truncate(count);
            Ok(piece)
        }
    }
}

/// How the body of an accepted request is sent.
struct Framing {
    /// `None` for a [`Request::HealthCheck`].
    length: Option<usize>,
    /// Whether the client waits for `100 Continue`.
    expects_continue: bool,
}

/// The framing of the request that `buffer` begins with; `None` while its head is incomplete.
fn parse(buffer: &mut HeadBuffer) -> Result<Option<Framing>, Rejection> {
    match buffer.request() {
        Ok(Some(head)) => framing(&head).map(Some),
        Ok(None) if buffer.len() < MAX_HEAD_BYTES => Ok(None),
        Ok(None) => Err(rejection(431)),
        Err(malformed) if matches!(malformed.status, 414 | 431) => Err(rejection(431)),
        Err(_) => Err(rejection(400)),
    }
}

fn framing(head: &RequestHead) -> Result<Framing, Rejection> {
    // A proxy may forward the target in absolute form.
    let path = match head.target.split_once("://").map(|(_, rest)| rest.split_once('/')) {
        Some(Some((_, path))) => format!("/{path}"),
        _ => head.target.clone(),
    };
    match (head.method.as_str(), path.as_str()) {
        ("GET", "/") => return Ok(Framing { length: None, expects_continue: false }),
        ("POST", wire::PATH) => {}
        (_, wire::PATH) => return Err(Rejection { status: 405, field: "Allow: POST\r\n" }),
        _ => return Err(rejection(404)),
    }
    let mut length = None;
    for value in head.fields.all("content-length") {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<usize>().unwrap_or(usize::MAX);
        if !digits || length.is_some_and(|length| length != number) {
            return Err(rejection(400));
        }
        length = Some(number);
    }
    match length {
        _ if head.fields.first("transfer-encoding").is_some() => Err(rejection(411)),
        None => Err(rejection(411)),
        Some(length) if length > wire::LARGEST => Err(rejection(413)),
        Some(_) => {
            let expect = head.fields.all("expect").last();
            let expects_continue =
                expect.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
            Ok(Framing { length, expects_continue })
        }
    }
}

fn http(status: u16, content_type: &str, field: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n{field}Connection: close\r\n\r\n",
        phrase(status),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::{Framing, HeadBuffer, Rejection, parse};

    /// The status of a rejection; 0 for a sealed request, 200 for a health check, 1 for an incomplete head.
    fn status(head: &str) -> u16 {
        let mut buffer = HeadBuffer::default();
        buffer.extend(head.as_bytes());
        match parse(&mut buffer) {
            Ok(Some(Framing { length: Some(_), .. })) => 0,
            Ok(Some(Framing { length: None, .. })) => 200,
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
            (post(&"A: b\r\n".repeat(101)), 431),
            ("x".repeat(9_000), 431),
            ("GET / HTTP/2.0\r\n\r\n".into(), 400),
            ("\u{1}\r\n\r\n".into(), 400),
            ("POST /v1/license HT".into(), 1),
        ] {
            assert_eq!(status(&head), wanted, "{head}");
        }
    }
}
