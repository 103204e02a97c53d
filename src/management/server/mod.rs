//! The only room that knows tiny_http: sockets on one side, values on the other.
//!
//! tiny_http 0.12 leaves three things to its user. One failed `accept` ends its accept thread for good, so a
//! supervisor opens the socket again and starts a new server. It sets no timeouts, and its pool may leave a
//! connection in a queue while slow connections hold all its threads; `worker_pool` deals with both.
//! `exchange` handles one request.

mod exchange;
pub(crate) mod socket;
mod worker_pool;

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::management::server::worker_pool::{Limits, WorkerPool};
use rustix::fs::Mode;
use tiny_http::Server;

use super::api::{table, usage};
use super::{Context, Error};
use crate::config::{CONTROL_SOCKET, USAGE_SOCKET};
use crate::license;
use crate::log::Log;
use crate::management::api::request::Request;
use crate::management::api::response::Response;

/// Stack of a thread in bytes; the deepest work is reading a certificate.
const STACK: usize = 512 * 1024;

/// How often the supervisor checks that the socket still exists and accepts.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// First and longest pause before the socket is opened again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long a server may take to shut down after the last answer.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers a request. Returns `None` if the answer may block and the second argument forbids that.
type Handler = Arc<dyn Fn(&mut Request<'_>, bool) -> Option<Response> + Send + Sync>;

enum Event {
    /// Shut down; requests in progress may finish until that time.
    Stop(Instant),
    /// A worker of this server generation got this error from `accept`.
    AcceptFailed(u64, io::Error),
}

/// The running server. Dropping it stops the server at once and removes the socket.
pub(crate) struct Handle {
    events: Sender<Event>,
    /// Carries no message; it is disconnected when the supervisor has ended.
    ended: Receiver<()>,
}

impl Handle {
    /// Accepts no new connections, waits until the requests in progress are answered or `deadline` has
    /// passed, and removes the socket.
    pub(crate) fn stop(self, deadline: Instant) {
        self.end(deadline);
    }

    fn end(&self, deadline: Instant) {
        if self.events.send(Event::Stop(deadline)).is_ok() {
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
pub(crate) fn start(run_dir: &Path, context: Context) -> Result<Handle, Error> {
    let log = context.log.clone();
    let handler: Handler =
        Arc::new(move |request, may_block| table::dispatch(&context, request, may_block));
    let endpoint = Endpoint { path: run_dir.join(CONTROL_SOCKET), mode: socket::OWNER };
    serve(socket::listen(&endpoint.path, endpoint.mode)?, endpoint, handler, log)
}

/// Serves the usage API on `run_dir/usage.sock`, a socket of mode 0660. A client that may open it can
/// reserve and settle seconds and nothing else. Errors as in [`start`].
pub(crate) fn start_usage(
    run_dir: &Path,
    license: license::Handle,
    log: Log,
) -> Result<Handle, Error> {
    let handler: Handler = Arc::new(move |request, may_block| {
        may_block.then(|| usage::dispatch(&license, request)) // the license worker may be writing
    });
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
) -> Result<Handle, Error> {
    let server = Server::from_listener(listener, None)
        .map_err(|error| Error(format!("can't serve {}: {error}", endpoint.path.display())))?;
    let (events, inbox) = mpsc::channel();
    let (alive, ended) = mpsc::channel();
    let supervisor =
        Supervisor { endpoint, handler, log, limits: Limits::new(), events: events.clone(), inbox };
    thread::Builder::new()
        .name("management".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            supervisor.run(server);
            drop(alive);
        })
        .map_err(|error| Error(format!("can't start a thread for the management API: {error}")))?;
    Ok(Handle { events, ended })
}

/// Why a server stopped.
enum ServerExit {
    /// A shutdown was requested; see [`Event::Stop`].
    Stop(Instant),
    Failed(String),
}

struct Supervisor {
    endpoint: Endpoint,
    handler: Handler,
    log: Log,
    limits: Limits,
    events: Sender<Event>,
    inbox: Receiver<Event>,
}

impl Supervisor {
    /// Runs the server, and a new one whenever it fails, until a shutdown is requested.
    fn run(self, first: Server) {
        let mut server = first;
        for generation in 0.. {
            let shared = Arc::new(server);
            self.pool(generation, &shared).spawn_worker();
            let cause = match self.wait_for_exit(generation) {
                ServerExit::Failed(cause) => cause,
                ServerExit::Stop(deadline) => {
                    shutdown(shared);
                    return self.limits.wait_idle(deadline);
                }
            };
            shutdown(shared);
            self.log.error(format_args!(
                "{}: stopped accepting ({cause}); opening the socket again",
                self.endpoint.path.display()
            ));
            match self.rebind() {
                Some(made) => server = made,
                None => return,
            }
        }
    }

    fn pool(&self, generation: u64, server: &Arc<Server>) -> Arc<WorkerPool> {
        Arc::new(WorkerPool {
            server: Arc::downgrade(server),
            generation,
            path: self.endpoint.path.clone(),
            handler: Arc::clone(&self.handler),
            log: self.log.clone(),
            limits: self.limits.clone(),
            events: self.events.clone(),
            leader: Mutex::default(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Waits until the server has to stop.
    fn wait_for_exit(&self, generation: u64) -> ServerExit {
        loop {
            match self.inbox.recv_timeout(CHECK_INTERVAL) {
                Ok(Event::AcceptFailed(when, cause)) if when == generation => {
                    return ServerExit::Failed(cause.to_string());
                }
                Ok(Event::AcceptFailed(..)) => {}
                Ok(Event::Stop(deadline)) => return ServerExit::Stop(deadline),
                Err(RecvTimeoutError::Disconnected) => return ServerExit::Stop(Instant::now()),
                // An error such as running out of file descriptors says nothing about the server.
                Err(RecvTimeoutError::Timeout)
                    if matches!(socket::is_listening(&self.endpoint.path), Ok(false)) =>
                {
                    return ServerExit::Failed("the socket is gone".to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Opens the socket again, retrying until it succeeds; `None` if a shutdown was requested meanwhile.
    fn rebind(&self) -> Option<Server> {
        let (mut pause, longest) = BACKOFF;
        loop {
            let until = Instant::now() + pause;
            while let Ok(event) =
                self.inbox.recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                if matches!(event, Event::Stop(_)) {
                    return None;
                }
            }
            let made =
                socket::listen(&self.endpoint.path, self.endpoint.mode).and_then(|listener| {
                    Server::from_listener(listener, None).map_err(|error| Error(error.to_string()))
                });
            match made {
                Ok(server) => return Some(server),
                Err(error) => self.log.error(format_args!("management API: {error}; trying again")),
            }
            pause = (pause * 2).min(longest);
        }
    }
}

/// Stops a server and its waiting workers. The last owner, here, removes the socket.
fn shutdown(mut server: Arc<Server>) {
    let until = Instant::now() + SHUTDOWN_TIMEOUT;
    while Instant::now() < until {
        server.unblock();
        match Arc::try_unwrap(server) {
            Ok(last) => return drop(last),
            Err(shared) => server = shared,
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests;
