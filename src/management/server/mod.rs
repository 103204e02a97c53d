//! The only room that knows tiny_http: sockets on one side, values on the other.
//!
//! Its clients are on this machine: the console, `reset`, `status`, curl and the speech engine. One thread for
//! each socket receives the requests, and each is answered on a thread of its own, because tiny_http sets no
//! timeouts and a slow client must hold up nobody else.
//!
//! One failed `accept` ends tiny_http's accept thread for good, so the receiving thread then opens the socket
//! again and starts a new server. `exchange` handles one request.

mod exchange;
pub(crate) mod socket;

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use tiny_http::Server;

use super::Context;
use super::api::{table, usage};
use crate::config::{CONTROL_SOCKET, USAGE_SOCKET};
use crate::license;
use crate::log::Log;
use crate::management::api::request::Request;
use crate::management::api::response::Response;
use crate::management::server::exchange::ServerRequest;
use crate::util::semaphore::Semaphore;

/// Stack of a thread in bytes; the deepest work is reading a certificate.
const STACK: usize = 512 * 1024;

/// Most requests of one socket in progress; further requests wait until others are answered.
const MAX_REQUESTS: usize = 256;

/// How often the server checks that its socket still exists and accepts.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// First and longest pause before the socket is opened again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long a server may take to shut down after the last answer.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers a request.
type Handler = Arc<dyn Fn(&mut Request) -> Response + Send + Sync>;

/// The running server. Dropping it stops the server at once and removes the socket.
pub(crate) struct Handle {
    /// Until when requests in progress may finish.
    stop: Sender<Instant>,
    /// The server to wake.
    current: Arc<Mutex<Weak<Server>>>,
    /// Carries no message; it is disconnected when the server has ended.
    ended: Receiver<()>,
}

impl Handle {
    /// Accepts no new connections, waits until the requests in progress are answered or `deadline` has
    /// passed, and removes the socket.
    pub(crate) fn stop(self, deadline: Instant) {
        self.end(deadline);
    }

    fn end(&self, deadline: Instant) {
        if self.stop.send(deadline).is_ok() {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            current.inspect(|server| server.unblock());
            let timeout = deadline.saturating_duration_since(Instant::now()) + SHUTDOWN_TIMEOUT;
            let _ = self.ended.recv_timeout(timeout);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end(Instant::now());
    }
}

/// Serves the management API on `run_dir/control.sock`, a socket of mode 0600 owned by the user of this
/// process. Creates `run_dir` with mode 0755 if it is missing.
///
/// The error says why the socket can't be used, for example because another daemon answers on it.
pub(crate) fn start(run_dir: &Path, context: Context) -> Result<Handle, String> {
    let log = context.log.clone();
    let handler: Handler = Arc::new(move |request| table::dispatch(&context, request));
    let endpoint = Endpoint { path: run_dir.join(CONTROL_SOCKET), mode: socket::OWNER };
    serve(socket::listen(&endpoint.path, endpoint.mode)?, endpoint, handler, log)
}

/// Serves the usage API on `run_dir/usage.sock`, a socket of mode 0660. A client that may open it can
/// reserve and settle seconds and nothing else. Errors as in [`start`].
pub(crate) fn start_usage(
    run_dir: &Path,
    license: license::Handle,
    log: Log,
) -> Result<Handle, String> {
    let handler: Handler = Arc::new(move |request| usage::dispatch(&license, request));
    let endpoint = Endpoint { path: run_dir.join(USAGE_SOCKET), mode: socket::OWNER_AND_GROUP };
    serve(socket::listen(&endpoint.path, endpoint.mode)?, endpoint, handler, log)
}

/// Path of a server's socket and its mode.
struct Endpoint {
    path: PathBuf,
    mode: Mode,
}

fn serve(
    listener: UnixListener,
    endpoint: Endpoint,
    handler: Handler,
    log: Log,
) -> Result<Handle, String> {
    let server = Server::from_listener(listener, None)
        .map_err(|error| format!("can't serve {}: {error}", endpoint.path.display()))?;
    let (stop, stopped) = mpsc::channel();
    let (alive, ended) = mpsc::channel();
    let current = Arc::default();
    let service = Service {
        endpoint,
        handler,
        log,
        in_progress: Semaphore::new(MAX_REQUESTS),
        stopped,
        current: Arc::clone(&current),
    };
    thread::Builder::new()
        .name("management".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            service.run(server);
            drop(alive);
        })
        .map_err(|error| format!("can't start a thread for the management API: {error}"))?;
    Ok(Handle { stop, current, ended })
}

/// Why a server has stopped.
enum ServerExit {
    /// A shutdown was requested; requests in progress may finish until that time.
    Stop(Instant),
    Failed(String),
}

struct Service {
    endpoint: Endpoint,
    handler: Handler,
    log: Log,
    in_progress: Arc<Semaphore>,
    stopped: Receiver<Instant>,
    current: Arc<Mutex<Weak<Server>>>,
}

impl Service {
    /// Runs the server, and a new one whenever it fails, until a shutdown is requested.
    fn run(self, first: Server) {
        let mut next = Some(first);
        while let Some(server) = next.take().map(Arc::new) {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&server);
            let exit = self.receive(&server);
            drop(server); // removes the socket
            match exit {
                ServerExit::Stop(deadline) => {
                    self.in_progress.wait_idle(deadline);
                }
                ServerExit::Failed(cause) => {
                    self.log.error(format_args!(
                        "{}: stopped accepting ({cause}); opening the socket again",
                        self.endpoint.path.display()
                    ));
                    next = self.rebind();
                }
            }
        }
    }

    /// Receives requests until the server has to stop.
    fn receive(&self, server: &Server) -> ServerExit {
        let mut checked = Instant::now();
        loop {
            match self.stopped.try_recv() {
                Ok(deadline) => return ServerExit::Stop(deadline),
                Err(TryRecvError::Disconnected) => return ServerExit::Stop(Instant::now()),
                Err(TryRecvError::Empty) => {}
            }
            match server.recv_timeout(CHECK_INTERVAL) {
                Ok(Some(request)) => self.answer(request),
                Ok(None) => {}
                Err(error) => return ServerExit::Failed(error.to_string()),
            }
            if checked.elapsed() >= CHECK_INTERVAL {
                checked = Instant::now();
                // An error such as running out of file descriptors says nothing about the server.
                if matches!(socket::is_listening(&self.endpoint.path), Ok(false)) {
                    return ServerExit::Failed("the socket is gone".to_owned());
                }
            }
        }
    }

    /// Answers a request on a thread of its own.
    fn answer(&self, request: tiny_http::Request) {
        let Some(request) = ServerRequest::new(request, &self.log) else { return };
        if request.has_long_body() {
            // tiny_http counts threads that are about to take a connection as free, so in a burst a
            // connection may be queued behind slow ones. A connection that is closed at once wakes a thread
            // that looks into the queue.
            drop(socket::connect(&self.endpoint.path));
        }
        let (handler, log) = (Arc::clone(&self.handler), self.log.clone());
        let Some(permit) = self.in_progress.try_acquire() else {
            return request.answer(&handler, &log);
        };
        let started = thread::Builder::new()
            .name("management-api".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                request.answer(&handler, &log);
                drop(permit);
            });
        if let Err(error) = started {
            self.log.error(format_args!("cannot start a thread for the management API: {error}"));
        }
    }

    /// Opens the socket again, retrying until it succeeds; `None` if a shutdown was requested meanwhile.
    fn rebind(&self) -> Option<Server> {
        let (mut pause, longest) = BACKOFF;
        loop {
            if self.stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return None;
            }
            let made =
                socket::listen(&self.endpoint.path, self.endpoint.mode).and_then(|listener| {
                    Server::from_listener(listener, None).map_err(|error| error.to_string())
                });
            match made {
                Ok(server) => return Some(server),
                Err(error) => self.log.error(format_args!("management API: {error}; trying again")),
            }
            pause = (pause * 2).min(longest);
        }
    }
}

#[cfg(test)]
mod tests;
