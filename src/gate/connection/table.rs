//! The connections of one event loop. A connection that waits for an event has a deadline, but no thread and no
//! buffer.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

use super::run_queue::RunQueue;
use super::{Connection, Priority};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits::eviction::Candidate;
use crate::gate::upstream::stream::UPSTREAM;

/// What has happened to a socket.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Event {
    /// It is ready.
    pub(crate) ready: bool,
    /// The other side will send no more.
    pub(crate) read_closed: bool,
    /// The other side will neither send nor receive.
    pub(crate) hung_up: bool,
}

/// Connections by the token that epoll reports.
#[derive(Default)]
pub(crate) struct ConnectionTable {
    slots: HashMap<u64, Slot, BuildHasherDefault<TokenHasher>>,
    last: u64,
    /// Upstream sockets by the token that epoll reports. A closed one stays until another has its descriptor.
    upstreams: HashMap<u64, Upstream, BuildHasherDefault<TokenHasher>>,
    /// Connections with low priority that have work to do; some may be closed already.
    handshakes: RunQueue,
    bulk: RunQueue,
}

/// Spreads tokens over a table. They are counted here, so nobody can choose them to collide.
#[derive(Default)]
struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0 ^ u64::from(*byte)));
    }

    /// Fibonacci hashing (Knuth, The Art of Computer Programming 6.4): a table uses the highest and lowest bits.
    fn write_u64(&mut self, token: u64) {
        self.0 = token.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

enum Slot {
    Idle(Box<Connection>),
    /// A thread has taken the connection; the event that has come since, if any.
    InUse(Option<Event>),
}

/// An upstream socket, which one connection uses after the other.
#[derive(Default)]
struct Upstream {
    /// The token of the connection that was the last to wait for it.
    user: u64,
    /// What has happened while no connection waited for it.
    pending: Option<Event>,
}

impl ConnectionTable {
    /// A new token, for a connection in use.
    pub(crate) fn new_token(&mut self) -> u64 {
        self.last += 1;
        self.slots.insert(self.last, Slot::InUse(None));
        self.last
    }

    /// Takes the connection that the event of a socket is for, and its token, if it has high priority. Otherwise queues
    /// it, or records the event if the connection is in use.
    pub(crate) fn on_event(
        &mut self,
        token: u64,
        event: Event,
        now: Instant,
    ) -> Option<(u64, Box<Connection>)> {
        if token & UPSTREAM == 0 {
            self.on_client_event(token, event, now)
        } else {
            self.on_upstream_event(token, event, now)
        }
    }

    fn on_client_event(
        &mut self,
        token: u64,
        event: Event,
        now: Instant,
    ) -> Option<(u64, Box<Connection>)> {
        let mut connection = self.take(token, event)?;
        match connection.priority(now) {
            Priority::Interactive => Some((token, connection)),
            priority => {
                connection.is_ready = true;
                self.slots.insert(token, Slot::Idle(connection));
                self.queue(priority).push(token);
                None
            }
        }
    }

    /// The event is recorded if no connection waits for it: a thread may be about to put one back that will.
    fn on_upstream_event(
        &mut self,
        upstream_token: u64,
        event: Event,
        now: Instant,
    ) -> Option<(u64, Box<Connection>)> {
        let Upstream { user, pending } = self.upstreams.entry(upstream_token).or_default();
        let token = *user;
        if let Some(Slot::Idle(connection)) = self.slots.get_mut(&token)
            && let Some((upstream, _)) = connection.upstream()
            && upstream.token() == upstream_token
        {
            upstream.set_readable(event.read_closed);
            return self.on_client_event(token, Event::default(), now);
        }
        *pending = Some(pending.unwrap_or_default().and(event));
        None
    }

    /// Forgets what has happened to an upstream socket: another one has its descriptor now.
    pub(crate) fn forget_upstream(&mut self, upstream_token: u64) {
        self.upstreams.remove(&upstream_token);
    }

    /// Puts a connection back that has more work to do after others have had their turn.
    pub(crate) fn requeue(&mut self, token: u64, mut connection: Box<Connection>) {
        connection.is_ready = true;
        let busy = self.put(token, connection);
        if let Some(connection) = busy {
            self.slots.insert(token, Slot::Idle(connection));
        }
        self.bulk.push(token);
    }

    /// Takes the next queued connection of a low priority.
    pub(crate) fn pop_queued(&mut self, priority: Priority) -> Option<(u64, Box<Connection>)> {
        loop {
            let token = self.queue(priority).pop()?;
            if let Some(connection) = self.take(token, Event::default()) {
                return Some((token, connection));
            }
        }
    }

    /// True if a connection with low priority is queued.
    pub(crate) fn has_queued(&self) -> bool {
        !self.handshakes.is_empty() || !self.bulk.is_empty()
    }

    /// How many handshakes are queued.
    pub(crate) fn pending_handshakes(&self) -> usize {
        self.handshakes.len()
    }

    fn queue(&mut self, priority: Priority) -> &mut RunQueue {
        if priority == Priority::Handshake { &mut self.handshakes } else { &mut self.bulk }
    }

    fn take(&mut self, token: u64, event: Event) -> Option<Box<Connection>> {
        let slot = self.slots.get_mut(&token)?;
        match std::mem::replace(slot, Slot::InUse(None)) {
            Slot::Idle(mut connection) => {
                connection.is_ready = false;
                connection.on_event(event);
                Some(connection)
            }
            Slot::InUse(pending) => {
                *slot = Slot::InUse(Some(pending.unwrap_or_default().and(event)));
                None
            }
        }
    }

    /// Puts a connection back, or returns it if an event has come in the meantime.
    pub(crate) fn put(
        &mut self,
        token: u64,
        mut connection: Box<Connection>,
    ) -> Option<Box<Connection>> {
        let slot = self.slots.get_mut(&token)?;
        let mut has_event = false;
        if let Slot::InUse(pending) = slot
            && let Some(event) = pending.take()
        {
            connection.on_event(event);
            has_event = true;
        }
        if let Some((stream, _)) = connection.upstream() {
            let upstream = self.upstreams.entry(stream.token()).or_default();
            upstream.user = token;
            if let Some(event) = upstream.pending.take() {
                stream.set_readable(event.read_closed);
                has_event = true;
            }
        }
        if has_event {
            return Some(connection);
        }
        *slot = Slot::Idle(connection);
        None
    }

    /// Forgets a connection that is closed.
    pub(crate) fn remove(&mut self, token: u64) {
        self.slots.remove(&token);
    }

    /// Takes all connections without a request in progress.
    pub(crate) fn take_idle(&mut self) -> Vec<(u64, Box<Connection>)> {
        self.take_where(|connection| !connection.has_request())
    }

    /// Takes all connections whose deadline has passed.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Vec<(u64, Box<Connection>)> {
        self.take_where(|connection| connection.deadline <= now)
    }

    /// The connections that wait for an event and are candidates for eviction, with their tokens.
    pub(crate) fn candidates(
        &self,
        candidate: impl Fn(&Connection) -> Option<Candidate>,
    ) -> impl Iterator<Item = (u64, Candidate)> {
        self.slots.iter().filter_map(move |(token, slot)| match slot {
            Slot::Idle(connection) => Some((*token, candidate(connection)?)),
            Slot::InUse(_) => None,
        })
    }

    /// Takes a connection, if it still satisfies `matches`.
    pub(crate) fn take_if(
        &mut self,
        token: u64,
        matches: impl Fn(&Connection) -> bool,
    ) -> Option<Box<Connection>> {
        let connection = self.take(token, Event::default())?;
        if !matches(&connection) {
            self.slots.insert(token, Slot::Idle(connection));
            return None;
        }
        Some(connection)
    }

    fn take_where(&mut self, matches: impl Fn(&Connection) -> bool) -> Vec<(u64, Box<Connection>)> {
        let tokens: Vec<u64> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Idle(c) if matches(c)))
            .map(|(token, _)| *token)
            .collect();
        tokens
            .into_iter()
            .filter_map(|token| Some((token, self.take(token, Event::default())?)))
            .collect()
    }
}

impl Event {
    fn and(self, later: Event) -> Event {
        Event {
            ready: self.ready | later.ready,
            read_closed: self.read_closed | later.read_closed,
            hung_up: self.hung_up | later.hung_up,
        }
    }
}

impl Connection {
    /// Records an event of the client's socket.
    fn on_event(&mut self, event: Event) {
        if event.ready {
            self.stream.set_readable(event.read_closed);
        }
        self.hung_up |= event.hung_up;
    }
}
