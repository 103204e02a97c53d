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

use tiny_http::Server;

use super::super::answer::Answer;
use super::super::socket;
use super::exchange::Carried;
use super::{Event, Handler, STACK};
use crate::log::Log;

/// Requests with slow handlers that are worked on at the same time; who has the turn does more of them.
const SLOW_ANSWERS: usize = 7;

/// Requests with long bodies that are read, or long answers that are sent, at the same time; who has
/// the turn does more of them. tiny_http has a thread for each of these connections anyway, and the
/// gate bounds their number and ends slow clients.
pub(super) const LONG_WAYS: usize = 256;

/// Answers up to this many bytes never wait for their reader: Linux gives a Unix socket 208 KiB.
const NO_WAIT: usize = 64 * 1024;

/// The workers of one server.
pub(super) struct Crew {
    /// Owned while waiting alone: the end of a server removes the socket file, and when a worker has
    /// been away for long that may be the next server's.
    pub(super) server: Weak<Server>,
    pub(super) generation: u64,
    pub(super) path: PathBuf,
    pub(super) handler: Handler,
    pub(super) log: Log,
    pub(super) seats: AllSeats,
    pub(super) events: Sender<Event>,
    /// Held by the one who waits for requests.
    pub(super) turn: Mutex<()>,
    /// How many wait for the turn.
    pub(super) spare: AtomicUsize,
}

/// What a worker leaves the turn with.
struct Errand {
    request: Carried,
    /// Where only the way to the client is left.
    answer: Option<Answer>,
    seat: Seat,
}

impl Crew {
    /// One worker more.
    pub(super) fn hire(self: &Arc<Crew>) {
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

/// The seats of one server, whichever of its sockets a request came by.
#[derive(Clone)]
pub(super) struct AllSeats {
    slow_answers: Seats,
    long_ways: Seats,
}

impl AllSeats {
    pub(super) fn new() -> AllSeats {
        AllSeats { slow_answers: Seats::of(SLOW_ANSWERS), long_ways: Seats::of(LONG_WAYS) }
    }
}

/// How many may be away at the same time: who is slow on one server takes nothing from the other.
#[derive(Clone)]
pub(super) struct Seats {
    taken: Arc<AtomicUsize>,
    count: usize,
}

/// The right to be away; dropping it gives it back.
pub(super) struct Seat(Seats);

impl Seats {
    pub(super) fn of(count: usize) -> Seats {
        Seats { taken: Arc::default(), count }
    }

    pub(super) fn take(&self) -> Option<Seat> {
        let next = |taken| (taken < self.count).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.ok().map(|_| Seat(self.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
