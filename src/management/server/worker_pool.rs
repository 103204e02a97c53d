//! The threads that wait for requests and answer them, by the leader/followers pattern.
//!
//! Only the leader waits for requests. It answers at once what can't block, so that a burst of small
//! requests wakes one thread and not one for each. For a request that may block (a slow handler, a long
//! body, an answer that does not fit into the socket) it gives up the lead, and a waiting worker, or a new
//! one, becomes the leader.

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

/// Most slow handlers that run outside of the leader at the same time.
const MAX_SLOW_HANDLERS: usize = 7;

/// Most long bodies read and long answers sent outside of the leader at the same time. tiny_http has a
/// thread for each of these connections anyway, and the gate limits their number and ends slow clients.
const MAX_TRANSFERS: usize = 256;

/// Largest body of an answer that is sent without blocking: Linux gives a Unix socket 208 KiB.
const MAX_INLINE_BODY: usize = 64 * 1024;

/// The workers of one server.
pub(crate) struct WorkerPool {
    /// Held strongly only while waiting for a request: dropping the last reference removes the socket file,
    /// which may by then belong to the next server.
    pub(crate) server: Weak<Server>,
    pub(crate) generation: u64,
    pub(crate) path: PathBuf,
    pub(crate) handler: Handler,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    pub(crate) events: Sender<Event>,
    /// Held by the leader, the worker that waits for requests.
    pub(crate) leader: Mutex<()>,
    /// Number of workers that wait to become the leader.
    pub(crate) waiting: AtomicUsize,
}

/// A request that may block, for which the leader gives up the lead.
struct Job {
    request: ServerRequest,
    /// The answer, if it only remains to be sent.
    answer: Option<Response>,
    permit: Permit,
}

impl WorkerPool {
    /// Starts one more worker.
    pub(crate) fn spawn_worker(self: &Arc<WorkerPool>) {
        let pool = Arc::clone(self);
        let started = thread::Builder::new()
            .name("management-api".to_owned())
            .stack_size(STACK)
            .spawn(move || pool.run_worker());
        if let Err(error) = started {
            self.log.error(format_args!("cannot start a thread for the management API: {error}"));
        }
    }

    /// Runs a worker until its server has ended or another worker is waiting already.
    fn run_worker(self: &Arc<WorkerPool>) {
        while let Some(Job { request, answer, permit }) = self.next_job() {
            request.answer(answer, &self.handler, &self.log);
            drop(permit);
            if self.waiting.load(Ordering::SeqCst) > 0 {
                return;
            }
        }
    }

    /// Answers requests as the leader until one may block; `None` when the server has ended.
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
                Err(error) => {
                    let _ = self.events.send(Event::AcceptFailed(self.generation, error));
                    return None;
                }
            }
        }
    }

    /// Answers the request, or returns it as a job if that may block.
    fn handle(&self, mut request: ServerRequest) -> Option<Job> {
        let long = request.has_long_body();
        let answer =
            if long { None } else { request.call_handler(&self.handler, &self.log, false) };
        if answer.as_ref().is_some_and(|answer| answer.body.len() <= MAX_INLINE_BODY) {
            request.answer(answer, &self.handler, &self.log);
            return None;
        }
        if long {
            // tiny_http counts threads that are about to take a connection as free, so in a burst a
            // connection may be queued behind long-lived ones. A connection that is closed at once
            // wakes a thread that looks into the queue.
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

/// The limits of one server. Each server has its own, so a slow client of one does not affect the other.
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

    /// Waits until all jobs are done or `deadline` has passed.
    pub(crate) fn wait_idle(&self, deadline: Instant) {
        self.slow_handlers.wait_idle(deadline);
        self.transfers.wait_idle(deadline);
    }
}
