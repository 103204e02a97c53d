//! The only file that knows tiny_http: sockets on one side, values on the other.
//!
//! What its 0.12 source leaves to us, and what stands here against it: one failed `accept` ends its
//! accept thread for good (a watcher makes socket and server anew); no timeouts (long bodies get a
//! thread of their own, so that a slow sender never holds one of the eight); the rest of an unread
//! body is read when a request is dropped, into one allocation as large as its `Content-Length`, and
//! the rest of an unread chunked body is taken for the next request (see [`Carried`]).

use std::io::{self, Read};
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use tiny_http::{Header, Response, Server, StatusCode};

use super::answer::{Answer, Code};
use super::request::{Method, Request};
use super::{Context, socket, table, usage};
use crate::license;
use crate::log::Log;

/// Requests answered at the same time, but for those with long bodies.
const HANDLERS: usize = 8;

/// Requests with long bodies that are read at the same time; more wait for a handler.
const LONG_BODIES: usize = 32;

/// Stack of a handler in bytes; the deepest work is reading a certificate.
const STACK: usize = 512 * 1024;

/// Bodies up to this many bytes tiny_http has in memory when it hands over a request.
const IN_MEMORY: usize = 1024;

/// Longest declared body whose rest we let tiny_http read, in bytes; it allocates them all at once.
const DRAINABLE: usize = 256 << 20;

/// How often the watcher looks whether the socket is still there and accepts.
const WATCH: Duration = Duration::from_secs(5);

/// First and longest pause before the socket is made anew.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long a stop waits for requests that are being answered.
const STOP: Duration = Duration::from_secs(5);

type Handler = Arc<dyn Fn(&mut Request<'_>) -> Answer + Send + Sync>;

enum Event {
    Stop,
    /// A handler of that generation got this error.
    Broken(u64, io::Error),
}

/// The running server; dropping it stops it and removes the socket.
pub struct Handle {
    events: Sender<Event>,
    /// Nothing is ever sent; it is cut when the watcher has ended.
    ended: Receiver<()>,
}

impl Handle {
    /// Ends the server once the requests in work are answered, after five seconds in any case.
    pub fn stop(self) {}
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.events.send(Event::Stop).is_ok() {
            let _ = self.ended.recv_timeout(STOP);
        }
    }
}

/// Serves the management API on `run_dir/control.sock`, a socket of mode 0600 owned by whoever runs
/// this; `run_dir` is made with mode 0755 if absent.
///
/// The error says why the socket can't be had, for example because another daemon answers on it.
pub fn start(run_dir: &Path, context: Context) -> Result<Handle, String> {
    let log = context.log.clone();
    let handler: Handler = Arc::new(move |request| table::answer(&context, request));
    let place = Place { path: run_dir.join("control.sock"), mode: socket::OWNER };
    serve(socket::listen(&place.path, place.mode)?, place, handler, log)
}

/// Serves the counting of seconds on `run_dir/usage.sock`, a socket of mode 0660: who may open it may
/// use seconds and do nothing else. Errors as [`start`].
pub fn start_usage(run_dir: &Path, license: license::Handle, log: Log) -> Result<Handle, String> {
    let handler: Handler = Arc::new(move |request| usage::answer(&license, request));
    let place = Place { path: run_dir.join("usage.sock"), mode: socket::OWNER_AND_GROUP };
    serve(socket::listen(&place.path, place.mode)?, place, handler, log)
}

/// Where a server listens, and who may come.
struct Place {
    path: PathBuf,
    mode: Mode,
}

fn serve(
    listener: UnixListener,
    place: Place,
    handler: Handler,
    log: Log,
) -> Result<Handle, String> {
    let server = Server::from_listener(listener, None)
        .map_err(|fault| format!("can't serve {}: {fault}", place.path.display()))?;
    let (events, inbox) = mpsc::channel();
    let (alive, ended) = mpsc::channel();
    let watcher = Watcher { place, handler, log, events: events.clone(), inbox };
    thread::Builder::new()
        .name("management".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            watcher.watch(server);
            drop(alive);
        })
        .map_err(|fault| format!("no thread for the management API: {fault}"))?;
    Ok(Handle { events, ended })
}

struct Watcher {
    place: Place,
    handler: Handler,
    log: Log,
    events: Sender<Event>,
    inbox: Receiver<Event>,
}

impl Watcher {
    /// The life of the server, from one socket to the next.
    fn watch(self, first: Server) {
        let mut server = first;
        for generation in 0.. {
            let shared = Arc::new(server);
            for _ in 0..HANDLERS {
                self.hire(generation, &shared);
            }
            let cause = self.trouble(generation);
            retire(shared);
            let Some(cause) = cause else { return };
            self.log.error(format_args!(
                "{} stopped accepting ({cause}); making it anew",
                self.place.path.display()
            ));
            match self.anew() {
                Some(made) => server = made,
                None => return,
            }
        }
    }

    fn hire(&self, generation: u64, server: &Arc<Server>) {
        // A handler at work must not keep the server: its end removes the socket file, and by then
        // that may be the next one's.
        let server = Arc::downgrade(server);
        let (handler, log, events) =
            (Arc::clone(&self.handler), self.log.clone(), self.events.clone());
        let started = thread::Builder::new()
            .name("management-api".to_owned())
            .stack_size(STACK)
            .spawn(move || work(&server, generation, &handler, &log, &events));
        if let Err(fault) = started {
            self.log.error(format_args!("no thread for the management API: {fault}"));
        }
    }

    /// Waits until the server has to end; None when that was asked for.
    fn trouble(&self, generation: u64) -> Option<String> {
        loop {
            match self.inbox.recv_timeout(WATCH) {
                Ok(Event::Broken(when, cause)) if when == generation => {
                    return Some(cause.to_string());
                }
                Ok(Event::Broken(..)) => {}
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                // An error, such as out of file descriptors, says nothing about the server.
                Err(RecvTimeoutError::Timeout)
                    if matches!(socket::somebody_listens(&self.place.path), Ok(false)) =>
                {
                    return Some("nobody listens".to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Tries until it has a new server; None when the end was asked for meanwhile.
    fn anew(&self) -> Option<Server> {
        let (mut pause, longest) = PAUSES;
        loop {
            let until = Instant::now() + pause;
            while let Ok(event) =
                self.inbox.recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                if matches!(event, Event::Stop) {
                    return None;
                }
            }
            let made = socket::listen(&self.place.path, self.place.mode).and_then(|listener| {
                Server::from_listener(listener, None).map_err(|fault| fault.to_string())
            });
            match made {
                Ok(server) => return Some(server),
                Err(fault) => self.log.error(format_args!("management API: {fault}")),
            }
            pause = (pause * 2).min(longest);
        }
    }
}

/// Ends a server with its waiting handlers; its last owner, here, removes the socket.
fn retire(mut server: Arc<Server>) {
    for _ in 0..HANDLERS {
        server.unblock();
    }
    let until = Instant::now() + STOP;
    while Instant::now() < until {
        match Arc::try_unwrap(server) {
            Ok(last) => return drop(last),
            Err(shared) => server = shared,
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn work(
    server: &Weak<Server>,
    generation: u64,
    handler: &Handler,
    log: &Log,
    events: &Sender<Event>,
) {
    while let Some(shared) = server.upgrade() {
        let received = shared.recv();
        drop(shared);
        match received {
            Ok(request) => take(Carried(request), handler, log),
            Err(fault) => {
                let _ = events.send(Event::Broken(generation, fault));
                return;
            }
        }
    }
}

fn take(request: Carried, handler: &Handler, log: &Log) {
    if !request.has_long_body() {
        return request.answer(handler, log);
    }
    let Some(seat) = Seat::take() else { return request.answer(handler, log) };
    let (handler, own_log) = (Arc::clone(handler), log.clone());
    let started = thread::Builder::new()
        .name("management-body".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            request.answer(&handler, &own_log);
            drop(seat);
        });
    if let Err(fault) = started {
        log.error(format_args!("no thread to read a request body: {fault}"));
    }
}

/// The right to read a long body on a thread of its own; dropping it gives it back.
struct Seat;

static SEATS_TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Seat {
    fn take() -> Option<Seat> {
        let next = |taken| (taken < LONG_BODIES).then_some(taken + 1);
        SEATS_TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok().map(|_| Seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        SEATS_TAKEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request as tiny_http carries it.
struct Carried(tiny_http::Request);

impl Carried {
    fn header(&self, name: &'static str) -> Option<&str> {
        let found = self.0.headers().iter().find(|header| header.field.equiv(name));
        found.map(|header| header.value.as_str())
    }

    fn is_chunked(&self) -> bool {
        self.header("Transfer-Encoding").is_some()
    }

    /// Whether reading the body, or dropping it unread, may wait for the sender.
    fn has_long_body(&self) -> bool {
        self.is_chunked()
            || self.header("Expect").is_some()
            || self.0.body_length().is_some_and(|length| length > IN_MEMORY)
    }

    fn connection_says(&self, word: &str) -> bool {
        self.header("Connection").is_some_and(|value| value.to_ascii_lowercase().contains(word))
    }

    fn answer(mut self, handler: &Handler, log: &Log) {
        if self.0.body_length().is_some_and(|length| length > DRAINABLE) {
            // Dropping it would allocate that much, and a failed allocation ends the whole process:
            // the connection and its thread are given up instead, and nobody is answered. The gate
            // refuses such lengths with 413, so this one came through the socket itself.
            log.warn(format_args!("a request declared an absurd length and is left unanswered"));
            return std::mem::forget(self.0);
        }
        let answer = catch_unwind(AssertUnwindSafe(|| self.judge(handler)));
        let answer = answer.unwrap_or_else(|_| {
            log.error(format_args!("a handler failed on {} {}", self.0.method(), self.0.url()));
            Answer::error(
                Code::Internal,
                "internal error; the log of the appliance names the place",
            )
        });
        if self.is_chunked() && !self.connection_says("close") && !self.drain() {
            log.warn("a malformed or endless chunked request; its connection is given up");
            return std::mem::forget(self.0);
        }
        if let Err(fault) = self.0.respond(response(answer)) {
            log.info(format_args!("an answer of the management API was not taken: {fault}"));
        }
    }

    fn judge(&mut self, handler: &Handler) -> Answer {
        let owned = |name| self.header(name).map(str::to_owned);
        let (path, query) = self.0.url().split_once('?').unwrap_or((self.0.url(), ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let method = Method::parse(self.0.method().as_str());
        let (content_type, forwarded_for, forwarded_proto) =
            (owned("Content-Type"), owned("X-Forwarded-For"), owned("X-Forwarded-Proto"));
        let length = self.0.body_length();
        // On an upgrade tiny_http gives the whole connection for a body, and it has no end.
        let mut body: Box<dyn Read> = if self.connection_says("upgrade") {
            Box::new(io::empty())
        } else {
            Box::new(Body(&mut self.0))
        };
        handler(&mut Request {
            method,
            path,
            query,
            content_type,
            forwarded_for,
            forwarded_proto,
            length,
            body: &mut *body,
        })
    }

    /// Reads a chunked body to its end. What would be left is taken for the next request otherwise,
    /// so that a body could hold one that nobody has judged.
    fn drain(&mut self) -> bool {
        let mut rest = self.0.as_reader().take(DRAINABLE as u64);
        io::copy(&mut rest, &mut io::sink()).is_ok() && rest.limit() > 0
    }
}

/// Asks for the body only when it is read, for that is what answers `Expect: 100-continue`.
struct Body<'a>(&'a mut tiny_http::Request);

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_reader().read(buffer)
    }
}

fn response(answer: Answer) -> Response<io::Cursor<Vec<u8>>> {
    let content_type = ("Content-Type", answer.content_type.to_owned());
    let server = ("Server", "applianced".to_owned());
    let headers = [content_type, server]
        .into_iter()
        .chain(answer.headers)
        .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
        .collect();
    let length = answer.body.len();
    Response::new(
        StatusCode(answer.status),
        headers,
        io::Cursor::new(answer.body),
        Some(length),
        None,
    )
    .with_chunked_threshold(usize::MAX)
}

#[cfg(test)]
mod tests;
