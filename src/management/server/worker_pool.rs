//! Who waits for requests and answers them.
//!
//! One worker has the leader: it alone waits for requests, and it answers at once what can be answered
//! at once, so that a burst of small requests wakes one thread and not one for each. With whatever may
//! take a while (a slow handler, a long body, an answer that does not fit into the socket) it leaves,
//! and the next has the leader, hired if none is waiting.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use tiny_http::Server;

use super::exchange::ServerRequest;
use super::{Event, Handler, STACK};
use crate::log::Log;
use crate::management::api::response::Response;
use crate::management::server::socket;
use crate::util::semaphore::{Permit, Semaphore};

/// Requests with slow handlers that are worked on at the same time; who has the leader does more of them.
const MAX_SLOW_HANDLERS: usize = 7;

/// Requests with long bodies that are read, or long answers that are sent, at the same time; who has
/// the leader does more of them. tiny_http has a thread for each of these connections anyway, and the
/// gate bounds their number and ends slow clients.
const MAX_TRANSFERS: usize = 256;

/// Answers up to this many bytes never wait for their reader: Linux gives a Unix socket 208 KiB.
const MAX_INLINE_BODY: usize = 64 * 1024;

/// The workers of one server.
pub(crate) struct WorkerPool {
    /// Owned while waiting alone: the end of a server removes the socket file, and when a worker has
    /// been away for long that may be the next server's.
    pub(crate) server: Weak<Server>,
    pub(crate) generation: u64,
    pub(crate) path: PathBuf,
    pub(crate) handler: Handler,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    pub(crate) events: Sender<Event>,
    /// Held by the one who waits for requests.
    pub(crate) leader: Mutex<()>,
    /// How many wait for the leader.
    pub(crate) waiting: AtomicUsize,
}

/// What a worker leaves the leader with.
struct Job {
    request: ServerRequest,
    /// Where only the way to the client is left.
    answer: Option<Response>,
    permit: Permit,
}

impl WorkerPool {
    /// One worker more.
    pub(crate) fn spawn_worker(self: &Arc<WorkerPool>) {
        let pool = Arc::clone(self);
        let started = thread::Builder::new()
            .name("management-api".to_owned())
            .stack_size(STACK)
            .spawn(move || pool.run_worker());
        if let Err(fault) = started {
            self.log.error(format_args!("no thread for the management API: {fault}"));
        }
    }

    /// The life of a worker; it ends with its server, or when somebody else is waiting already.
    fn run_worker(self: &Arc<WorkerPool>) {
        while let Some(Job { request, answer, permit }) = self.next_job() {
            request.answer(answer, &self.handler, &self.log);
            drop(permit);
            if self.waiting.load(Ordering::SeqCst) > 0 {
                return;
            }
        }
    }

    /// Answers requests until there is one to leave with; `None` when the server has ended.
    fn next_job(self: &Arc<WorkerPool>) -> Option<Job> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        loop {
            let server = self.server.upgrade()?;
            let received = server.recv();
            drop(server);
            match received {
                Ok(request) => {
                    if let Some(job) = self.handle(ServerRequest(request)) {
                        if self.waiting.load(Ordering::SeqCst) == 0 {
                            self.spawn_worker();
                        }
                        return Some(job);
                    }
                }
                Err(fault) => {
                    let _ = self.events.send(Event::AcceptFailed(self.generation, fault));
                    return None;
                }
            }
        }
    }

    /// Answers it, or says what to leave with.
    fn handle(&self, mut request: ServerRequest) -> Option<Job> {
        let long = request.has_long_body();
        let answer =
            if long { None } else { request.call_handler(&self.handler, &self.log, false) };
        if answer.as_ref().is_some_and(|answer| answer.body.len() <= MAX_INLINE_BODY) {
            request.answer(answer, &self.handler, &self.log);
            return None;
        }
        if long {
            // tiny_http counts threads that are about to take a connection as free, so that in a
            // burst one may be queued behind connections that stay. A connection that ends at once
            // brings a thread that looks into the queue.
            drop(socket::connect(&self.path));
        }
        let limits = if long || answer.is_some() {
            &self.limits.transfers
        } else {
            &self.limits.slow_handlers
        };
        match limits.try_acquire() {
            Some(permit) => Some(Job { request, answer, permit }),
            None => {
                request.answer(answer, &self.handler, &self.log);
                None
            }
        }
    }
}

/// The limits of one server, whichever of its sockets a request came by; who is slow on one server takes
/// nothing from the other.
#[derive(Clone)]
pub(crate) struct Limits {
    slow_handlers: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
}

impl Limits {
    pub(crate) fn new() -> Limits {
        Limits {
            slow_handlers: Semaphore::new(MAX_SLOW_HANDLERS),
            transfers: Semaphore::new(MAX_TRANSFERS),
        }
    }

    /// Waits until everybody is back or `deadline` has passed.
    pub(crate) fn wait_idle(&self, deadline: Instant) {
        self.slow_handlers.wait_idle(deadline);
        self.transfers.wait_idle(deadline);
    }
}
