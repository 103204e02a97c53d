//! Open ports: accept, park, and the workers that take turns.
//!
//! A thread per port waits for the next event on it. The one that gets an event passes the watch on to
//! another before it works, and comes back when it is done, so an event costs no hand-over between
//! threads and an idle connection costs no thread at all. The kernel's epoll is the queue.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::bind::Bound;
use super::connection::{Connection, Next};
use super::forward::Buffers;
use super::parked::Parked;
use super::stream::timespec;
use super::{Gate, limits};
use crate::config::Listen;

const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;

/// How often deadlines are looked at, and how long accepting pauses when descriptors run out.
const TICK: Duration = Duration::from_millis(500);

/// All ports, open.
pub struct Open {
    gate: Arc<Gate>,
    crew: Arc<Crew>,
    ports: Vec<Arc<Port>>,
}

/// Counts what all ports share.
struct Crew {
    stop: OwnedFd,
    workers: Mutex<usize>,
    one_left: Condvar,
    connections: AtomicUsize,
    connection_ceiling: usize,
}

impl Open {
    /// Starts a thread for each port.
    ///
    /// # Errors
    /// When the kernel has no more descriptors or threads for us.
    pub fn start(gate: Arc<Gate>, bound: Vec<Bound>) -> io::Result<Open> {
        let crew = Arc::new(Crew {
            stop: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            workers: Mutex::new(0),
            one_left: Condvar::new(),
            connections: AtomicUsize::new(0),
            connection_ceiling: connection_ceiling(),
        });
        let mut ports = Vec::new();
        for Bound { listener, listen } in bound {
            let port = Arc::new(Port::new(Arc::clone(&gate), Arc::clone(&crew), listener, listen)?);
            if !port.hire() {
                return Err(io::Error::other("cannot start a thread"));
            }
            ports.push(port);
        }
        Ok(Open { gate, crew, ports })
    }

    /// Takes nobody new in, lets what is in flight finish for up to nine seconds, and says how
    /// many exchanges had to be cut.
    pub fn drain(self) -> usize {
        self.gate.draining.store(true, Ordering::Relaxed);
        for port in &self.ports {
            // On a listening socket this refuses new clients at once, while other threads hold it.
            let _ = rustix::net::shutdown(&port.listener, rustix::net::Shutdown::Both);
        }
        let _ = rustix::io::write(&self.crew.stop, &1_u64.to_ne_bytes());
        for port in &self.ports {
            for mut idle in port.parked().take_all() {
                idle.stream.say_goodbye();
            }
        }
        let workers = self.crew.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |workers: &mut usize| *workers > 0;
        let (workers, _) = self
            .crew
            .one_left
            .wait_timeout_while(workers, limits::DRAIN, busy)
            .unwrap_or_else(PoisonError::into_inner);
        *workers
    }
}

/// Descriptors we may have, less those kept for files and services. Each exchange needs two.
fn connection_ceiling() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    limit.saturating_sub(limits::SPARE_DESCRIPTORS).max(16) * 9 / 10
}

/// One port and the connections that came through it.
struct Port {
    gate: Arc<Gate>,
    crew: Arc<Crew>,
    listener: TcpListener,
    listen: Listen,
    epoll: OwnedFd,
    parked: Mutex<Parked>,
    /// Workers that wait for an event right now.
    watching: AtomicUsize,
    next_tick: Mutex<Tick>,
}

struct Tick {
    at: Instant,
    /// Accepting stopped for want of descriptors.
    accepting_paused: bool,
}

impl Port {
    fn new(
        gate: Arc<Gate>,
        crew: Arc<Crew>,
        listener: TcpListener,
        listen: Listen,
    ) -> io::Result<Port> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let once = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), once)?;
        epoll::add(&epoll, &crew.stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN)?;
        Ok(Port {
            gate,
            crew,
            listener,
            listen,
            epoll,
            parked: Mutex::default(),
            watching: AtomicUsize::new(0),
            next_tick: Mutex::new(Tick { at: Instant::now() + TICK, accepting_paused: false }),
        })
    }

    fn parked(&self) -> MutexGuard<'_, Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a worker that watches this port; false if there is no place for one.
    fn hire(self: &Arc<Port>) -> bool {
        if !self.crew.take_place() {
            return false;
        }
        self.watching.fetch_add(1, Ordering::SeqCst);
        let port = Arc::clone(self);
        let started = thread::Builder::new()
            .name(format!("port-{}", self.listen.address.port()))
            .stack_size(limits::STACK_BYTES)
            .spawn(move || {
                port.work();
                port.crew.give_place_back();
            });
        if started.is_err() {
            self.watching.fetch_sub(1, Ordering::SeqCst);
            self.crew.give_place_back();
        }
        started.is_ok()
    }

    /// A worker's day. Counted in `watching` when it begins, not any more when it ends.
    fn work(self: &Arc<Port>) {
        let mut buffers = Buffers::default();
        let mut events = Vec::with_capacity(1);
        loop {
            events.clear();
            let waited =
                epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timespec(TICK)));
            self.tick();
            let token = match (waited, events.first()) {
                (Ok(_), Some(event)) => event.data.u64(),
                (Err(e), _) if e != Errno::INTR => {
                    self.gate
                        .log
                        .error(format_args!("waiting on a port failed: {}", io::Error::from(e)));
                    thread::sleep(TICK);
                    continue;
                }
                // Quiet: who is not needed goes home.
                _ if self.leave_if_spare(1) => return,
                _ => continue,
            };
            match token {
                STOP => {
                    self.watching.fetch_sub(1, Ordering::SeqCst);
                    return;
                }
                LISTENER => self.accept(),
                token => {
                    let Some(connection) = self.parked().take(token) else { continue };
                    let passed_on = self.pass_watch_on();
                    self.handle(token, connection, &mut buffers, passed_on);
                    self.watching.fetch_add(1, Ordering::SeqCst);
                    if self.leave_if_spare(limits::SPARE_WORKERS) {
                        return;
                    }
                }
            }
        }
    }

    /// Stops watching; true if somebody else watches now.
    fn pass_watch_on(self: &Arc<Port>) -> bool {
        self.watching.fetch_sub(1, Ordering::SeqCst) > 1 || self.hire()
    }

    /// Stops watching if `enough` others do.
    fn leave_if_spare(&self, enough: usize) -> bool {
        let leave = |watching: usize| (watching > enough).then(|| watching - 1);
        self.watching.fetch_update(Ordering::SeqCst, Ordering::SeqCst, leave).is_ok()
    }

    fn handle(&self, token: u64, mut connection: Connection, buffers: &mut Buffers, place: bool) {
        let advance = || self.gate.advance(&mut connection, &self.listen, buffers, place);
        match catch_unwind(AssertUnwindSafe(advance)) {
            Ok(Next::Park) if !self.gate.is_draining() => self.park(token, connection),
            Ok(_) => self.crew.connection_gone(1),
            Err(_) => {
                self.crew.connection_gone(1);
                self.gate.log.error(format_args!("{}: a request made us panic", connection.peer));
            }
        }
    }

    /// Puts a connection back; from here on another worker may have it.
    fn park(&self, token: u64, mut connection: Connection) {
        connection.stream.rest();
        let mut flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        if connection.stream.wants_write() {
            flags |= epoll::EventFlags::OUT;
        }
        let mut parked = self.parked();
        let watched = epoll::modify(
            &self.epoll,
            connection.stream.tcp(),
            epoll::EventData::new_u64(token),
            flags,
        );
        match watched {
            Ok(()) => parked.put(token, connection),
            Err(_) => self.crew.connection_gone(1),
        }
    }

    /// Takes in who waits at the door; a crowd in portions, so that those inside are served meanwhile.
    fn accept(&self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        for _ in 0..limits::ACCEPTED_AT_ONCE {
            match rustix::net::acceptfrom_with(&self.listener, flags) {
                Ok((socket, address)) => {
                    let peer = address.and_then(|a| SocketAddr::try_from(a).ok());
                    self.welcome(TcpStream::from(socket), peer);
                }
                Err(Errno::AGAIN) => break,
                // Ours to mend: make room, and come back in a moment.
                Err(e @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    self.make_room(32);
                    let mut tick = self.next_tick.lock().unwrap_or_else(PoisonError::into_inner);
                    if !tick.accepting_paused {
                        let why = io::Error::from(e);
                        self.gate.log.error(format_args!(
                            "cannot accept connections on {}: {why}; closing idle ones",
                            self.listen.address
                        ));
                    }
                    tick.accepting_paused = true;
                    return;
                }
                // The listener is shut down.
                Err(Errno::INVAL | Errno::BADF) => return,
                // That one client's fault (RFC 1122's transient errors, as accept(2) lists them).
                Err(_) => {}
            }
        }
        self.watch_listener();
    }

    fn watch_listener(&self) {
        let once = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(LISTENER);
        if let Err(e) = epoll::modify(&self.epoll, &self.listener, data, once) {
            let why = io::Error::from(e);
            self.gate.log.error(format_args!("{} accepts no more: {why}", self.listen.address));
        }
    }

    fn welcome(&self, tcp: TcpStream, peer: Option<SocketAddr>) {
        let Some(peer) = peer else { return };
        if self.crew.connections.fetch_add(1, Ordering::SeqCst) >= self.crew.connection_ceiling {
            self.make_room(32);
        }
        let _ = tcp.set_nodelay(true);
        let Ok(connection) = self.gate.greet(tcp, peer, &self.listen) else {
            self.crew.connection_gone(1);
            return;
        };
        let mut parked = self.parked();
        let token = parked.token();
        let once = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(token);
        match epoll::add(&self.epoll, connection.stream.tcp(), data, once) {
            Ok(()) => parked.put(token, connection),
            Err(_) => self.crew.connection_gone(1),
        }
    }

    /// Closes waiting connections, those first that have waited longest for their deadline.
    fn make_room(&self, count: usize) {
        let closed = self.parked().take_oldest(count);
        self.crew.connection_gone(closed.len());
    }

    /// Looks after deadlines, whoever comes by.
    fn tick(&self) {
        let now = Instant::now();
        let Ok(mut tick) = self.next_tick.try_lock() else { return };
        if now < tick.at {
            return;
        }
        tick.at = now + TICK;
        let resume = std::mem::take(&mut tick.accepting_paused);
        drop(tick);
        let expired = self.parked().take_expired(now);
        self.crew.connection_gone(expired.len());
        for connection in expired {
            connection.expire();
        }
        if resume {
            self.watch_listener();
        }
    }
}

impl Crew {
    fn take_place(&self) -> bool {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let free = *workers < limits::WORKERS;
        *workers += usize::from(free);
        free
    }

    fn give_place_back(&self) {
        *self.workers.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.one_left.notify_all();
    }

    fn connection_gone(&self, count: usize) {
        self.connections.fetch_sub(count, Ordering::SeqCst);
    }
}
