//! Connections that wait for an event: no thread, no buffer, a deadline each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use super::run_queue::RunQueue;
use super::{Connection, Priority, SlowClient};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits::client_prefix::source;
use crate::gate::limits::eviction::Candidate;
use crate::gate::limits::permits::Kind;

/// What an event says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Event {
    /// The client's socket has changed…
    pub(crate) client: bool,
    /// …and will bring no more…
    pub(crate) client_ending: bool,
    /// …and takes no more either.
    pub(crate) client_gone: bool,
    pub(crate) service: bool,
    pub(crate) service_ending: bool,
}

/// The connections of one port, by the token that epoll reports.
#[derive(Default)]
pub(crate) struct ConnectionTable {
    slots: HashMap<u64, Slot>,
    last: u64,
    /// Those with something to do who let others go first; some may be gone.
    strangers: RunQueue,
    bulk: RunQueue,
}

enum Slot {
    Idle(Box<Connection>),
    /// Somebody works on it; what has happened meanwhile, if anything.
    InUse(Option<Event>),
}

impl ConnectionTable {
    /// A token never given out before, for a connection that is being worked on.
    pub(crate) fn token(&mut self) -> u64 {
        self.last += 1;
        self.slots.insert(self.last, Slot::InUse(None));
        self.last
    }

    /// Hands out the connection to which something has happened, if it is one that goes first; keeps
    /// others for later, and the news of one that is being worked on for whoever has it.
    pub(crate) fn hear(
        &mut self,
        token: u64,
        event: Event,
        now: Instant,
    ) -> Option<Box<Connection>> {
        let mut connection = self.take(token, event)?;
        match connection.rank(now) {
            Priority::First => Some(connection),
            rank => {
                connection.is_ready = true;
                self.slots.insert(token, Slot::Idle(connection));
                self.later(rank).push(token);
                None
            }
        }
    }

    /// Puts a connection back that has more to do, once others have had their turn.
    pub(crate) fn postpone(&mut self, token: u64, mut connection: Box<Connection>) {
        connection.is_ready = true;
        let busy = self.put(token, connection);
        if let Some(connection) = busy {
            self.slots.insert(token, Slot::Idle(connection));
        }
        self.bulk.push(token);
    }

    /// Hands out the one whose turn it is of those who let others go first.
    pub(crate) fn take_later(&mut self, rank: Priority) -> Option<(u64, Box<Connection>)> {
        loop {
            let token = self.later(rank).pop()?;
            if let Some(connection) = self.take(token, Event::default()) {
                return Some((token, connection));
            }
        }
    }

    /// True if somebody has let others go first.
    pub(crate) fn has_later(&self) -> bool {
        !self.strangers.is_empty() || !self.bulk.is_empty()
    }

    /// How many have a handshake that is to be gone on with.
    pub(crate) fn strangers(&self) -> usize {
        self.strangers.len()
    }

    fn later(&mut self, rank: Priority) -> &mut RunQueue {
        if rank == Priority::Stranger { &mut self.strangers } else { &mut self.bulk }
    }

    fn take(&mut self, token: u64, event: Event) -> Option<Box<Connection>> {
        let slot = self.slots.get_mut(&token)?;
        match std::mem::replace(slot, Slot::InUse(None)) {
            Slot::Idle(mut connection) => {
                connection.is_ready = false;
                connection.hear(event);
                Some(connection)
            }
            Slot::InUse(news) => {
                *slot = Slot::InUse(Some(news.unwrap_or_default().and(event)));
                None
            }
        }
    }

    /// Puts a connection back, or returns it if something has happened to it meanwhile.
    pub(crate) fn put(
        &mut self,
        token: u64,
        mut connection: Box<Connection>,
    ) -> Option<Box<Connection>> {
        match self.slots.entry(token) {
            Entry::Occupied(mut slot) => match slot.get() {
                Slot::InUse(Some(event)) => {
                    connection.hear(*event);
                    slot.insert(Slot::InUse(None));
                    Some(connection)
                }
                _ => {
                    slot.insert(Slot::Idle(connection));
                    None
                }
            },
            Entry::Vacant(_) => None,
        }
    }

    /// Tells a connection that is being worked on what has happened to it meanwhile.
    pub(crate) fn deliver_pending(&mut self, token: u64, connection: &mut Connection) {
        if let Some(Slot::InUse(news)) = self.slots.get_mut(&token)
            && let Some(event) = news.take()
        {
            connection.hear(event);
        }
    }

    /// It is closed.
    pub(crate) fn forget(&mut self, token: u64) {
        self.slots.remove(&token);
    }

    /// Hands out all for whom nobody works.
    pub(crate) fn take_idle(&mut self) -> Vec<(u64, Box<Connection>)> {
        self.take_those(|connection| !connection.is_served())
    }

    /// Hands out those whose time is up.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Vec<(u64, Box<Connection>)> {
        self.take_those(|connection| connection.deadline <= now)
    }

    /// Those for whom nobody works.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Candidate> {
        self.slots.iter().filter_map(|(token, slot)| match slot {
            Slot::Idle(connection) => Some(Candidate {
                since: connection.idle_since()?,
                is_ready: connection.is_ready,
                source: source(connection.peer.ip()),
                token: *token,
            }),
            Slot::InUse(_) => None,
        })
    }

    /// Who dawdles in a place that `fits`, and since when.
    pub(crate) fn dawdlers(
        &self,
        fits: impl Fn(Kind) -> bool,
    ) -> impl Iterator<Item = (SlowClient, u64)> {
        self.slots.iter().filter_map(move |(token, slot)| match slot {
            Slot::Idle(connection) => {
                let (kind, dawdling) = connection.dawdles()?;
                fits(kind).then_some((dawdling, *token))
            }
            Slot::InUse(_) => None,
        })
    }

    /// Hands out one of either, unless it does not fit any more because it has gone on meanwhile.
    pub(crate) fn take_if(
        &mut self,
        token: u64,
        fits: impl Fn(&Connection) -> bool,
    ) -> Option<Box<Connection>> {
        let connection = self.take(token, Event::default())?;
        if !fits(&connection) {
            self.slots.insert(token, Slot::Idle(connection));
            return None;
        }
        Some(connection)
    }

    fn take_those(&mut self, fits: impl Fn(&Connection) -> bool) -> Vec<(u64, Box<Connection>)> {
        let fitting: Vec<u64> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Idle(c) if fits(c)))
            .map(|(token, _)| *token)
            .collect();
        fitting
            .into_iter()
            .filter_map(|token| Some((token, self.take(token, Event::default())?)))
            .collect()
    }
}

impl Event {
    fn and(self, later: Event) -> Event {
        Event {
            client: self.client | later.client,
            client_ending: self.client_ending | later.client_ending,
            client_gone: self.client_gone | later.client_gone,
            service: self.service | later.service,
            service_ending: self.service_ending | later.service_ending,
        }
    }
}

impl Connection {
    /// Takes note of what has happened.
    fn hear(&mut self, event: Event) {
        if event.client {
            self.stream.note_readable(event.client_ending);
        }
        self.gone |= event.client_gone;
        if event.service {
            self.note_service(event.service_ending);
        }
    }
}
