//! The event loop of one listener: accepts connections and drives them.
//!
//! One thread waits for events and does all work that does not block, so a request costs no thread switch, and an
//! idle connection costs no thread. Under load, more threads run the loop, up to the number of processors. Work
//! that blocks runs on a thread of its own.

mod accept;
mod blocking;

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use super::shared::{SharedState, Table};
use crate::config::Listen;
use crate::gate::connection::table::{ConnectionTable, Event};
use crate::gate::connection::{Action, Connection, Priority};
use crate::gate::io::duplex::timespec;
use crate::gate::limits::eviction::Need;
use crate::gate::limits::permits::Class;
use crate::gate::proxy::exchange::Buffers;
use crate::gate::{Gate, limits};

const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

/// Reported once, when something comes.
const EDGE: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ET);

/// How often deadlines are checked, and how long accepting pauses when descriptors run out.
const TICK: Duration = Duration::from_millis(500);

/// Events that a single thread takes at once; several threads take few, so that the others have work too.
const EVENTS: usize = 64;
const SHARED_EVENTS: usize = 4;

/// One listener and its connections.
pub(crate) struct EventLoop {
    gate: Arc<Gate>,
    shared: Arc<SharedState>,
    listener: TcpListener,
    listen: Listen,
    epoll: Arc<OwnedFd>,
    /// An eventfd(2): a write interrupts one wait for events.
    wake: OwnedFd,
    connections: Table,
    /// Threads that run the loop, and those of them that wait for an event.
    workers: AtomicUsize,
    idle_workers: AtomicUsize,
    next_tick: Mutex<Tick>,
}

struct Tick {
    at: Instant,
    /// Accepting has stopped because of a lack of descriptors.
    accepting_paused: bool,
}

impl EventLoop {
    pub(crate) fn new(
        gate: Arc<Gate>,
        shared: Arc<SharedState>,
        connections: Table,
        listener: TcpListener,
        listen: Listen,
    ) -> io::Result<EventLoop> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // Accepted sockets inherit it, which saves a system call for each.
        let _ = rustix::net::sockopt::set_tcp_nodelay(&listener, true);
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), EDGE)?;
        // Never read: edge-triggered, each write is an event.
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), EDGE)?;
        Ok(EventLoop {
            gate,
            shared,
            listener,
            listen,
            epoll: Arc::new(epoll),
            wake,
            connections,
            workers: AtomicUsize::new(0),
            idle_workers: AtomicUsize::new(0),
            next_tick: Mutex::new(Tick { at: Instant::now() + TICK, accepting_paused: false }),
        })
    }

    /// Accepts no new connections and closes idle ones.
    pub(crate) fn shutdown(&self) {
        // On a listening socket this rejects new connections at once, although other threads hold it.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        let idle = self.connections().take_idle();
        for (token, mut connection) in idle {
            connection.stream.close_write();
            self.close(token, connection);
        }
    }

    /// Starts a thread that runs the loop; false if the kernel has none for us.
    pub(crate) fn spawn_worker(self: &Arc<EventLoop>) -> bool {
        self.workers.fetch_add(1, Ordering::SeqCst);
        let event_loop = Arc::clone(self);
        let started = self.thread().spawn(move || {
            // A panic outside of a connection's own work must not stop the listener.
            while catch_unwind(AssertUnwindSafe(|| event_loop.run())).is_err() {
                let address = event_loop.listen.address;
                event_loop.gate.log.error(format_args!(
                    "internal error (panic) in the event loop of {address}; restarted"
                ));
                event_loop.rearm_listener();
            }
        });
        if started.is_err() {
            self.workers.fetch_sub(1, Ordering::SeqCst);
        }
        started.is_ok()
    }

    fn thread(&self) -> thread::Builder {
        thread::Builder::new()
            .name(format!("port-{}", self.listen.address.port()))
            .stack_size(limits::STACK_BYTES)
    }

    fn connections(&self) -> MutexGuard<'_, ConnectionTable> {
        self.connections.lock()
    }

    /// Waits for events and handles them. Returns when there is no work and another thread runs the loop.
    fn run(self: &Arc<EventLoop>) {
        let alone = self.shared.processors == 1;
        let mut events = Vec::with_capacity(if alone { EVENTS } else { SHARED_EVENTS });
        let mut buffers = Buffers::default();
        let (mut more, mut since_yield) = (false, Instant::now());
        loop {
            events.clear();
            let timeout = if more { Timespec::default() } else { timespec(TICK) };
            self.idle_workers.fetch_add(1, Ordering::SeqCst);
            let waited = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout));
            let others = self.idle_workers.fetch_sub(1, Ordering::SeqCst) - 1;
            match waited {
                Ok(0) if !more && self.stop_if_surplus() => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => {
                    let (address, why) = (self.listen.address, io::Error::from(e));
                    self.gate.log.error(format_args!("{address}: cannot wait for events: {why}"));
                    thread::sleep(TICK);
                }
            }
            self.tick(&mut buffers);
            let workers = self.workers.load(Ordering::SeqCst);
            if !events.is_empty() && others == 0 && workers < self.shared.processors {
                self.spawn_worker(); // a failure is harmless: this thread goes on
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    WAKE => {}
                    token => self.on_event(token, read(&event), &mut buffers),
                }
            }
            // One connection of each low priority, then new events again.
            for priority in [Priority::Handshake, Priority::Bulk] {
                let taken = self.connections().pop_queued(priority);
                if let Some((token, connection)) = taken {
                    self.advance(token, connection, &mut buffers);
                }
            }
            more = self.connections().has_queued();
            if more && since_yield.elapsed() >= limits::BULK_SLICE {
                thread::yield_now();
                since_yield = Instant::now();
            }
        }
    }

    /// Removes this thread from the workers if there is another; true if it must end.
    fn stop_if_surplus(&self) -> bool {
        let stop = |workers: usize| (workers > 1).then(|| workers - 1);
        self.workers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, stop).is_ok()
    }

    /// Handles an event of a connection.
    fn on_event(self: &Arc<EventLoop>, token: u64, event: Event, buffers: &mut Buffers) {
        let taken = self.connections().on_event(token, event, Instant::now());
        if let Some((token, connection)) = taken {
            self.advance(token, connection, buffers);
        }
    }

    /// Drives a connection as far as possible without blocking.
    fn advance(
        self: &Arc<EventLoop>,
        token: u64,
        mut connection: Box<Connection>,
        buffers: &mut Buffers,
    ) {
        let action = self.next_action(&mut connection, buffers);
        self.carry_out(token, connection, action, buffers);
    }

    fn next_action(&self, connection: &mut Connection, buffers: &mut Buffers) -> Action {
        self.gate.catch_panic(connection, |gate, connection| {
            gate.advance(connection, &self.listen, buffers)
        })
    }

    /// Carries out what a connection needs, and drives it on until it has to wait.
    fn carry_out(
        self: &Arc<EventLoop>,
        token: u64,
        mut connection: Box<Connection>,
        mut action: Action,
        buffers: &mut Buffers,
    ) {
        loop {
            let moving = match action {
                Action::Wait => self.put_back(token, connection),
                Action::Yield => match self.register(token, &mut connection) {
                    Ok(mut connections) => return connections.requeue(token, connection),
                    Err(_) => return self.close(token, connection),
                },
                Action::OverLimit(class) => Some(self.make_room(connection, class)),
                Action::Block(work) => self.block(token, connection, work),
                Action::Call(run) => self.call(token, connection, *run),
                Action::Close => return self.close(token, connection),
            };
            let Some(moving) = moving else { return };
            connection = moving;
            action = self.next_action(&mut connection, buffers);
        }
    }

    /// Evicts slow clients for a request of `class`, or rejects it if there are none.
    fn make_room(&self, mut connection: Box<Connection>, class: Class) -> Box<Connection> {
        if !self.shared.evict(&self.gate, Need::Permit(class)) {
            self.gate.reject_over_limit(&mut connection, &self.listen, class);
        }
        connection
    }

    /// Registers the sockets of a connection with the table locked: their events wait until it is back there.
    fn register(
        &self,
        token: u64,
        connection: &mut Connection,
    ) -> io::Result<MutexGuard<'_, ConnectionTable>> {
        let writing = connection.waits_to_write();
        let mut connections = self.connections();
        connection.stream.register(&self.epoll, token, writing)?;
        if let Some((upstream, writing)) = connection.upstream()
            && upstream.register(&self.epoll, writing)?
        {
            connections.forget_upstream(upstream.token());
        }
        Ok(connections)
    }

    /// Puts a connection back, where another thread may take it; returns it if an event has come in the meantime.
    fn put_back(&self, token: u64, mut connection: Box<Connection>) -> Option<Box<Connection>> {
        let leaving = self.gate.is_draining() && !connection.has_request();
        if !leaving && let Ok(mut connections) = self.register(token, &mut connection) {
            return connections.put(token, connection);
        }
        self.close(token, connection);
        None
    }

    fn close(&self, token: u64, connection: Box<Connection>) {
        self.connections.close(token, connection);
    }

    /// Checks deadlines; the first thread that finds a tick due does it.
    fn tick(self: &Arc<EventLoop>, buffers: &mut Buffers) {
        let now = Instant::now();
        let Ok(mut tick) = self.next_tick.try_lock() else { return };
        if now < tick.at {
            return;
        }
        tick.at = now + TICK;
        let resume = std::mem::take(&mut tick.accepting_paused);
        drop(tick);
        self.gate.idle_pool.expire_idle(now);
        self.gate.handshake_log.report_suppressed();
        self.gate.refusals.report_suppressed();
        let expired = self.connections().take_expired(now);
        for (token, mut connection) in expired {
            let action = self.gate.catch_panic(&mut connection, |gate, connection| {
                gate.expire(connection, &self.listen, buffers)
            });
            self.carry_out(token, connection, action, buffers);
        }
        if resume {
            self.rearm_listener();
        }
    }
}

fn read(event: &epoll::Event) -> Event {
    use epoll::EventFlags as Flags;
    let flags = event.flags;
    Event {
        ready: true,
        read_closed: flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR),
        hung_up: flags.intersects(Flags::HUP | Flags::ERR),
    }
}
