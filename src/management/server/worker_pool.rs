//! Who waits for requests and answers them.
//!
//! One worker has the turn: it alone waits for requests, and it answers at once what can be answered
//! at once, so that a burst of small requests wakes one thread and not one for each. With whatever may
//! take a while (a slow handler, a long body, an answer that does not fit into the socket) it leaves,
//! and the next has the turn, hired if none is spare.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use tiny_http::Server;

use super::exchange::Carried;
use super::{Event, Handler, STACK};
use crate::log::Log;
use crate::management::api::answer::Answer;
use crate::management::server::socket;
use crate::util::semaphore::{Permit, Semaphore};

/// Requests with slow handlers that are worked on at the same time; who has the turn does more of them.
const SLOW_ANSWERS: usize = 7;

/// Requests with long bodies that are read, or long answers that are sent, at the same time; who has
/// the turn does more of them. tiny_http has a thread for each of these connections anyway, and the
/// gate bounds their number and ends slow clients.
const LONG_WAYS: usize = 256;

/// Answers up to this many bytes never wait for their reader: Linux gives a Unix socket 208 KiB.
const NO_WAIT: usize = 64 * 1024;

/// The workers of one server.
pub(crate) struct Crew {
    /// Owned while waiting alone: the end of a server removes the socket file, and when a worker has
    /// been away for long that may be the next server's.
    pub(crate) server: Weak<Server>,
    pub(crate) generation: u64,
    pub(crate) path: PathBuf,
    pub(crate) handler: Handler,
    pub(crate) log: Log,
    pub(crate) seats: AllSeats,
    pub(crate) events: Sender<Event>,
    /// Held by the one who waits for requests.
    pub(crate) turn: Mutex<()>,
    /// How many wait for the turn.
    pub(crate) spare: AtomicUsize,
}

/// What a worker leaves the turn with.
struct Errand {
    request: Carried,
    /// Where only the way to the client is left.
    answer: Option<Answer>,
    seat: Permit,
}

impl Crew {
    /// One worker more.
    pub(crate) fn hire(self: &Arc<Crew>) {
        let crew = Arc::clone(self);
        let started = thread::Builder::new()
            .name("management-api".to_owned())
            .stack_size(STACK)
            .spawn(move || crew.work());
        if let Err(fault) = started {
            self.log.error(format_args!("no thread for the management API: {fault}"));
        }
    }

    /// The life of a worker; it ends with its server, or when somebody else is spare already.
    fn work(self: &Arc<Crew>) {
        while let Some(Errand { request, answer, seat }) = self.take_turn() {
            request.answer(answer, &self.handler, &self.log);
            drop(seat);
            if self.spare.load(Ordering::SeqCst) > 0 {
                return;
            }
        }
    }

    /// Answers requests until there is one to leave with; `None` when the server has ended.
    fn take_turn(self: &Arc<Crew>) -> Option<Errand> {
        self.spare.fetch_add(1, Ordering::SeqCst);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.spare.fetch_sub(1, Ordering::SeqCst);
        loop {
            let server = self.server.upgrade()?;
            let received = server.recv();
            drop(server);
            match received {
                Ok(request) => {
                    if let Some(errand) = self.take(Carried(request)) {
                        if self.spare.load(Ordering::SeqCst) == 0 {
                            self.hire();
                        }
                        return Some(errand);
                    }
                }
                Err(fault) => {
                    let _ = self.events.send(Event::Broken(self.generation, fault));
                    return None;
                }
            }
        }
    }

    /// Answers it, or says what to leave with.
    fn take(&self, mut request: Carried) -> Option<Errand> {
        let long = request.has_long_body();
        let answer = if long { None } else { request.judge(&self.handler, &self.log, false) };
        if answer.as_ref().is_some_and(|answer| answer.body.len() <= NO_WAIT) {
            request.answer(answer, &self.handler, &self.log);
            return None;
        }
        if long {
            // tiny_http counts threads that are about to take a connection as free, so that in a
            // burst one may be queued behind connections that stay. A connection that ends at once
            // brings a thread that looks into the queue.
            drop(socket::connect(&self.path));
        }
        let seats =
            if long || answer.is_some() { &self.seats.long_ways } else { &self.seats.slow_answers };
        match seats.take() {
            Some(seat) => Some(Errand { request, answer, seat }),
            None => {
                request.answer(answer, &self.handler, &self.log);
                None
            }
        }
    }
}

/// The seats of one server, whichever of its sockets a request came by; who is slow on one server takes
/// nothing from the other.
#[derive(Clone)]
pub(crate) struct AllSeats {
    slow_answers: Arc<Semaphore>,
    long_ways: Arc<Semaphore>,
}

impl AllSeats {
    pub(crate) fn new() -> AllSeats {
        AllSeats {
            slow_answers: Semaphore::new(SLOW_ANSWERS),
            long_ways: Semaphore::new(LONG_WAYS),
        }
    }

    /// Waits until everybody is back or `deadline` has passed.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) {
        self.slow_answers.wait_until_empty(deadline);
        self.long_ways.wait_until_empty(deadline);
    }
}
