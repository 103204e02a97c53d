//! The only room that knows tiny_http: sockets on one side, values on the other.
//!
//! What its 0.12 source leaves to us, and what stands here against it: one failed `accept` ends its
//! accept thread for good (a watcher makes socket and server anew); it sets no timeouts, and its pool
//! may leave a connection in a queue while all its threads are held by slow ones (see `crew`, which
//! has who waits for requests and answers them). What concerns one request is in `exchange`.

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

use crate::management::server::worker_pool::{AllSeats, Crew};
use rustix::fs::Mode;
use tiny_http::Server;

use super::Context;
use super::api::{table, usage};
use crate::config::{CONTROL_SOCKET, USAGE_SOCKET};
use crate::license;
use crate::log::Log;
use crate::management::api::answer::Answer;
use crate::management::api::request::Request;

/// Stack of a thread in bytes; the deepest work is reading a certificate.
const STACK: usize = 512 * 1024;

/// How often the watcher looks whether the socket is still there and accepts.
const WATCH: Duration = Duration::from_secs(5);

/// First and longest pause before the socket is made anew.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long the end of a server may take, once nobody is being answered.
const END: Duration = Duration::from_secs(5);

/// `None` where the answer may take a while and the second argument, whether it may, is false.
type Handler = Arc<dyn Fn(&mut Request<'_>, bool) -> Option<Answer> + Send + Sync>;

enum Event {
    /// Who is being answered then may have their answers until that time.
    Stop(Instant),
    /// A worker of that generation got this error.
    Broken(u64, io::Error),
}

/// The running server; dropping it stops it and removes the socket, whoever is being answered.
pub(crate) struct Handle {
    events: Sender<Event>,
    /// Nothing is ever sent; it is cut when the watcher has ended.
    ended: Receiver<()>,
}

impl Handle {
    /// Takes no new connections, ends the server once the requests in work are answered or `deadline`
    /// has passed, and removes the socket.
    pub(crate) fn stop(self, deadline: Instant) {
        self.end(deadline);
    }

    fn end(&self, deadline: Instant) {
        if self.events.send(Event::Stop(deadline)).is_ok() {
            let patience = deadline.saturating_duration_since(Instant::now()) + END;
            let _ = self.ended.recv_timeout(patience);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end(Instant::now());
    }
}

/// Serves the management API on `run_dir/control.sock`, a socket of mode 0600 owned by whoever runs
/// this; `run_dir` is made with mode 0755 if absent.
///
/// The error says why the socket can't be had, for example because another daemon answers on it.
pub(crate) fn start(run_dir: &Path, context: Context) -> Result<Handle, String> {
    let log = context.log.clone();
    let handler: Handler =
        Arc::new(move |request, may_wait| table::answer(&context, request, may_wait));
    let place = Place { path: run_dir.join(CONTROL_SOCKET), mode: socket::OWNER };
    serve(socket::listen(&place.path, place.mode)?, place, handler, log)
}

/// Serves the counting of seconds on `run_dir/usage.sock`, a socket of mode 0660: who may open it may
/// use seconds and do nothing else. Errors as [`start`].
pub(crate) fn start_usage(
    run_dir: &Path,
    license: license::Handle,
    log: Log,
) -> Result<Handle, String> {
    let handler: Handler = Arc::new(move |request, may_wait| {
        may_wait.then(|| usage::answer(&license, request)) // the license worker may be writing
    });
    let place = Place { path: run_dir.join(USAGE_SOCKET), mode: socket::OWNER_AND_GROUP };
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
    let watcher =
        Watcher { place, handler, log, seats: AllSeats::new(), events: events.clone(), inbox };
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

/// Why a server has to end.
enum Trouble {
    /// It was asked to; see [`Event::Stop`].
    Stop(Instant),
    Broken(String),
}

struct Watcher {
    place: Place,
    handler: Handler,
    log: Log,
    seats: AllSeats,
    events: Sender<Event>,
    inbox: Receiver<Event>,
}

impl Watcher {
    /// The life of the server, from one socket to the next.
    fn watch(self, first: Server) {
        let mut server = first;
        for generation in 0.. {
            let shared = Arc::new(server);
            self.crew(generation, &shared).hire();
            let cause = match self.trouble(generation) {
                Trouble::Broken(cause) => cause,
                Trouble::Stop(deadline) => {
                    retire(shared);
                    return self.seats.wait_until_empty(deadline);
                }
            };
            retire(shared);
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

    fn crew(&self, generation: u64, server: &Arc<Server>) -> Arc<Crew> {
        Arc::new(Crew {
            server: Arc::downgrade(server),
            generation,
            path: self.place.path.clone(),
            handler: Arc::clone(&self.handler),
            log: self.log.clone(),
            seats: self.seats.clone(),
            events: self.events.clone(),
            turn: Mutex::default(),
            spare: AtomicUsize::new(0),
        })
    }

    /// Waits until the server has to end.
    fn trouble(&self, generation: u64) -> Trouble {
        loop {
            match self.inbox.recv_timeout(WATCH) {
                Ok(Event::Broken(when, cause)) if when == generation => {
                    return Trouble::Broken(cause.to_string());
                }
                Ok(Event::Broken(..)) => {}
                Ok(Event::Stop(deadline)) => return Trouble::Stop(deadline),
                Err(RecvTimeoutError::Disconnected) => return Trouble::Stop(Instant::now()),
                // An error, such as out of file descriptors, says nothing about the server.
                Err(RecvTimeoutError::Timeout)
                    if matches!(socket::somebody_listens(&self.place.path), Ok(false)) =>
                {
                    return Trouble::Broken("nobody listens".to_owned());
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
                if matches!(event, Event::Stop(_)) {
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

/// Ends a server with whoever waits for its requests; its last owner, here, removes the socket.
fn retire(mut server: Arc<Server>) {
    let until = Instant::now() + END;
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
