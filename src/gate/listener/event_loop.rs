//! One port: accept, park, and the threads that watch it.
//!
//! One thread waits for events and does at once what takes no waiting, so a request costs no change of
//! threads, and a connection that waits costs none. Where there are more processors, others help when
//! there is much to do. What takes waiting goes to a thread of its own.

mod accept;

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::SharedState;
use crate::config::Listen;
use crate::gate::connection::table::{ConnectionTable, Event};
use crate::gate::connection::{Action, Connection, Priority, SlowClient};
use crate::gate::io::duplex::timespec;
use crate::gate::limits::eviction::Candidate;
use crate::gate::limits::permits::{Kind, Permit};
use crate::gate::proxy::exchange::Buffers;
use crate::gate::{Gate, limits};

const LISTENER: u64 = u64::MAX;

/// Set in the token under which a connection's service reports.
const SERVICE: u64 = 1 << 63;

/// How often deadlines are looked at, and how long accepting pauses when descriptors run out.
const TICK: Duration = Duration::from_millis(500);

/// Events taken at once by the only thread there is; several take few, and leave others theirs.
const EVENTS: usize = 64;
const SHARED_EVENTS: usize = 4;

/// One port and the connections that came through it.
pub(crate) struct EventLoop {
    gate: Arc<Gate>,
    shared: Arc<SharedState>,
    listener: TcpListener,
    listen: Listen,
    epoll: Arc<OwnedFd>,
    parked: Mutex<ConnectionTable>,
    /// Threads that watch, and those of them that wait for an event right now.
    watchers: AtomicUsize,
    waiting: AtomicUsize,
    next_tick: Mutex<Tick>,
}

struct Tick {
    at: Instant,
    /// Accepting stopped for want of descriptors.
    accepting_paused: bool,
}

impl EventLoop {
    pub(crate) fn new(
        gate: Arc<Gate>,
        shared: Arc<SharedState>,
        listener: TcpListener,
        listen: Listen,
    ) -> io::Result<EventLoop> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let once = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), once)?;
        Ok(EventLoop {
            gate,
            shared,
            listener,
            listen,
            epoll: Arc::new(epoll),
            parked: Mutex::default(),
            watchers: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            next_tick: Mutex::new(Tick { at: Instant::now() + TICK, accepting_paused: false }),
        })
    }

    /// Takes nobody new in and sends those home for whom nobody works.
    pub(crate) fn shut(&self) {
        // On a listening socket this refuses new clients at once, while other threads hold it.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        let unserved = self.parked().take_idle();
        for (token, mut connection) in unserved {
            connection.stream.close_write();
            self.close(token, connection);
        }
    }

    /// Starts a thread that watches this port; false if the kernel has none for us.
    pub(crate) fn spawn_worker(self: &Arc<EventLoop>) -> bool {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        let port = Arc::clone(self);
        let started = self.thread().spawn(move || {
            // A panic outside of a connection's own business costs what it was about, not the port.
            while catch_unwind(AssertUnwindSafe(|| port.watch())).is_err() {
                let address = port.listen.address;
                port.gate.log.error(format_args!("watching {address} made us panic"));
                port.watch_listener();
            }
        });
        if started.is_err() {
            self.watchers.fetch_sub(1, Ordering::SeqCst);
        }
        started.is_ok()
    }

    fn thread(&self) -> thread::Builder {
        thread::Builder::new()
            .name(format!("port-{}", self.listen.address.port()))
            .stack_size(limits::STACK_BYTES)
    }

    fn parked(&self) -> MutexGuard<'_, ConnectionTable> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for events and handles them. Ends when it is quiet and another watches.
    fn watch(self: &Arc<EventLoop>) {
        let alone = self.shared.processors == 1;
        let mut events = Vec::with_capacity(if alone { EVENTS } else { SHARED_EVENTS });
        let mut buffers = Buffers::default();
        let (mut more, mut since_yield) = (false, Instant::now());
        loop {
            events.clear();
            let patience = if more { Timespec::default() } else { timespec(TICK) };
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let waited = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&patience));
            let others = self.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
            match waited {
                Ok(0) if !more && self.leave_if_spare() => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => {
                    let why = io::Error::from(e);
                    self.gate.log.error(format_args!("waiting on a port failed: {why}"));
                    thread::sleep(TICK);
                }
            }
            self.tick(&mut buffers);
            let crowd = self.watchers.load(Ordering::SeqCst);
            if !events.is_empty() && others == 0 && crowd < self.shared.processors {
                self.spawn_worker(); // without help it goes on as it is
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    token => self.attend(token & !SERVICE, read(&event), &mut buffers),
                }
            }
            // One of each kind, and then a look at who has come to be served first.
            for rank in [Priority::Stranger, Priority::Bulk] {
                let taken = self.parked().take_later(rank);
                if let Some((token, connection)) = taken {
                    self.advance(token, connection, &mut buffers);
                }
            }
            more = self.parked().has_later();
            if more && since_yield.elapsed() >= limits::BULK_SLICE {
                thread::yield_now();
                since_yield = Instant::now();
            }
        }
    }

    /// Stops watching if another does.
    fn leave_if_spare(&self) -> bool {
        let leave = |watchers: usize| (watchers > 1).then(|| watchers - 1);
        self.watchers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, leave).is_ok()
    }

    /// Something has happened to a connection.
    fn attend(self: &Arc<EventLoop>, token: u64, event: Event, buffers: &mut Buffers) {
        let taken = self.parked().hear(token, event, Instant::now());
        if let Some(connection) = taken {
            self.advance(token, connection, buffers);
        }
    }

    /// Does for a connection what can be done at once.
    fn advance(
        self: &Arc<EventLoop>,
        token: u64,
        connection: Box<Connection>,
        buffers: &mut Buffers,
    ) {
        let mut moving = Some(connection);
        while let Some(mut connection) = moving.take() {
            let next = self.catch_panic(&mut connection, |gate, connection| {
                gate.advance(connection, &self.listen, buffers, false)
            });
            match next {
                Action::Wait => moving = self.park(token, connection),
                Action::Yield => {
                    if let Some(connection) = self.watch_service(token, connection) {
                        self.parked().postpone(token, connection);
                    }
                }
                Action::Close => self.close(token, connection),
                Action::OverLimit(kind) => moving = Some(self.find_place(connection, kind)),
                Action::Block => match self.shared.threads.take(self.gate.waits_for(&connection)) {
                    Some(place) => moving = self.detach(token, connection, place),
                    None => {
                        let kind = connection.seeks().map(Kind::Service);
                        self.gate.reject_busy(&mut connection, &self.listen, kind);
                        moving = Some(connection);
                    }
                },
            }
        }
    }

    /// Goes on with a connection on a thread that may wait; returns it if there is none to be had.
    fn detach(
        self: &Arc<EventLoop>,
        token: u64,
        connection: Box<Connection>,
        place: Permit,
    ) -> Option<Box<Connection>> {
        // Kept here until the thread has taken it, so that it isn't lost if there is no thread.
        let handed = Arc::new(Mutex::new(Some(connection)));
        let (port, taken) = (Arc::clone(self), Arc::clone(&handed));
        let started = self.thread().spawn(move || {
            let _place = place;
            let connection = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(connection) = connection {
                port.run_blocking(token, connection);
            }
        });
        if started.is_ok() {
            return None;
        }
        let mut connection = handed.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.gate.reject_busy(&mut connection, &self.listen, None);
        Some(connection)
    }

    /// Does for a connection what takes waiting, until it can be watched again.
    fn run_blocking(self: &Arc<EventLoop>, token: u64, connection: Box<Connection>) {
        let mut buffers = Buffers::default();
        let mut moving = Some(connection);
        while let Some(mut connection) = moving.take() {
            let next = self.catch_panic(&mut connection, |gate, connection| {
                gate.advance(connection, &self.listen, &mut buffers, true)
            });
            match next {
                Action::Wait => moving = self.park(token, connection),
                Action::Yield => {
                    moving = self.watch_service(token, connection);
                    if let Some(connection) = &mut moving {
                        self.parked().deliver_pending(token, connection);
                    }
                }
                Action::Block => moving = Some(connection),
                Action::OverLimit(kind) => moving = Some(self.find_place(connection, kind)),
                Action::Close => self.close(token, connection),
            }
        }
    }

    /// Others give up their places for it, or it hears that there is none.
    fn find_place(&self, mut connection: Box<Connection>, kind: Kind) -> Box<Connection> {
        if !self.shared.evict_slow(kind) {
            self.gate.reject_busy(&mut connection, &self.listen, Some(kind));
        }
        connection
    }

    /// Who waits here; see [`ConnectionTable::waiting`].
    pub(crate) fn waiting(&self) -> Vec<Candidate> {
        self.parked().waiting().collect()
    }

    /// Closes one of them, if it still waits.
    pub(crate) fn dismiss(&self, token: u64) {
        let taken = self.parked().take_if(token, |connection| connection.idle_since().is_some());
        if let Some(connection) = taken {
            self.close(token, connection);
        }
    }

    /// Who dawdles here; see [`ConnectionTable::dawdlers`].
    pub(crate) fn dawdlers(&self, kind: Kind) -> Vec<(SlowClient, u64)> {
        self.parked().dawdlers(|from| self.gate.places.makes_room(from, kind)).collect()
    }

    /// Takes its place from one of them; true if it still had it.
    pub(crate) fn evict(&self, token: u64, kind: Kind) -> bool {
        let makes_room = |from| self.gate.places.makes_room(from, kind);
        let taken = self.parked().take_if(token, |connection| {
            connection.dawdles().is_some_and(|(from, _)| makes_room(from))
        });
        let Some(mut connection) = taken else { return false };
        let _ = self.catch_panic(&mut connection, |gate, connection| gate.evict(connection));
        self.close(token, connection);
        true
    }

    /// A panic costs one connection.
    fn catch_panic(
        &self,
        connection: &mut Connection,
        act: impl FnOnce(&Gate, &mut Connection) -> Action,
    ) -> Action {
        catch_unwind(AssertUnwindSafe(|| act(&self.gate, connection))).unwrap_or_else(|_| {
            let peer = connection.peer;
            self.gate.log.error(format_args!("{peer}: a request made us panic"));
            Action::Close
        })
    }

    /// Its service is listened to, though its client gives it no time to wait for events; closed if that
    /// can't be.
    fn watch_service(
        &self,
        token: u64,
        mut connection: Box<Connection>,
    ) -> Option<Box<Connection>> {
        if connection.report_service(&self.epoll, token | SERVICE).is_err() {
            self.close(token, connection);
            return None;
        }
        Some(connection)
    }

    /// Puts a connection back, so that from here on another thread may have it; returns it if
    /// something has happened meanwhile.
    fn park(&self, token: u64, mut connection: Box<Connection>) -> Option<Box<Connection>> {
        let leaving = self.gate.is_draining() && !connection.is_served();
        let writing = connection.waits_to_write();
        let mut reported = connection.stream.report(&self.epoll, token, writing);
        if reported.is_ok() {
            reported = connection.report_service(&self.epoll, token | SERVICE);
        }
        if leaving || reported.is_err() {
            self.close(token, connection);
            return None;
        }
        self.parked().put(token, connection)
    }

    fn close(&self, token: u64, connection: Box<Connection>) {
        self.parked().forget(token);
        drop(connection);
        self.shared.connections_gone(1);
    }

    /// Looks after deadlines, whoever comes by.
    fn tick(self: &Arc<EventLoop>, buffers: &mut Buffers) {
        let now = Instant::now();
        let Ok(mut tick) = self.next_tick.try_lock() else { return };
        if now < tick.at {
            return;
        }
        tick.at = now + TICK;
        let resume = std::mem::take(&mut tick.accepting_paused);
        drop(tick);
        self.gate.kept.expire_idle(now);
        self.gate.strangers.tell_left_out();
        let expired = self.parked().take_expired(now);
        for (token, mut connection) in expired {
            let next = self.catch_panic(&mut connection, |gate, connection| {
                gate.expire(connection, &self.listen, buffers)
            });
            match next {
                Action::Close => self.close(token, connection),
                _ => self.advance(token, connection, buffers),
            }
        }
        if resume {
            self.watch_listener();
        }
    }
}

fn read(event: &epoll::Event) -> Event {
    use epoll::EventFlags as Flags;
    let (token, flags) = (event.data.u64(), event.flags);
    let ending = flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR);
    if token & SERVICE != 0 {
        return Event { service: true, service_ending: ending, ..Event::default() };
    }
    Event {
        client: true,
        client_ending: ending,
        client_gone: flags.intersects(Flags::HUP | Flags::ERR),
        ..Event::default()
    }
}
