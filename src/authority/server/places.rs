//! The open connections: how many there may be, of one address and in all, and who makes room for a newcomer.
//!
//! A connection for which nobody works, because its request has not arrived or its answer has been given,
//! costs a stranger nothing. So it is closed when a newcomer needs its place: the oldest of the newcomer's
//! address when that has too many, else the oldest of the address that has most. A connection whose question
//! is being answered is never closed.

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::authority::metrics::Metrics;
use crate::util::client_prefix::client_prefix;

/// Connections at a time; each has a thread with a small stack.
pub(crate) const MAX_CONNECTIONS: usize = 2_000;

/// Connections at a time from one address, which may be that of a whole site; an IPv6 /64 is one address.
pub(crate) const MAX_OF_ADDRESS: usize = 250;

/// Closed connections whose threads have not noticed yet.
const MAX_CLOSING: usize = 200;

/// How long a newcomer waits for one of those threads.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// All places.
pub(crate) struct Places {
    table: Mutex<Table>,
    left: Condvar,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Table {
    open: HashMap<u64, Entry>,
    /// Open connections by address.
    counts: HashMap<IpAddr, usize>,
    next: u64,
    /// Threads of connections, including those that were closed for a newcomer.
    threads: usize,
}

struct Entry {
    socket: Arc<TcpStream>,
    /// `None` for a trusted proxy that has not said yet for whom it asks.
    address: Option<IpAddr>,
    stage: Stage,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has arrived yet.
    Silent,
    /// The request arrives, or the answer leaves.
    Transfer,
    /// The question is being answered.
    Work,
}

/// The place of one connection; dropping it gives it back.
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Places {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Places> {
        Arc::new(Places { table: Mutex::default(), left: Condvar::new(), metrics })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection, for which another may be closed. `address` is whose place it is, if that
    /// is known; `None` when there is no room.
    pub(crate) fn admit(
        self: &Arc<Places>,
        socket: &Arc<TcpStream>,
        address: Option<IpAddr>,
    ) -> Option<Place> {
        let counters = &self.metrics;
        counters.accepted.increment();
        let address = address.map(client_prefix);
        let mut table = self.table();
        if !table.has_room_for(address) && !self.evict(&mut table, address) {
            counters.refused_of_address.increment();
            return None;
        }
        if table.open.len() >= MAX_CONNECTIONS && !self.evict(&mut table, None) {
            counters.refused_of_all.increment();
            return None;
        }
        let full = |table: &mut Table| table.threads >= MAX_CONNECTIONS + MAX_CLOSING;
        let waited = self.left.wait_timeout_while(table, CLOSING_TIMEOUT, full);
        let (mut table, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            counters.refused_of_all.increment();
            return None;
        }
        let number = table.next;
        table.next += 1;
        table.threads += 1;
        table.count(address);
        let (socket, since) = (Arc::clone(socket), Instant::now());
        table.open.insert(number, Entry { socket, address, stage: Stage::Silent, since });
        Some(Place { places: Arc::clone(self), number })
    }

    /// Closes the connection that makes room for one from `address`, or for any; false if none can be closed.
    fn evict(&self, table: &mut Table, address: Option<IpAddr>) -> bool {
        let Some(number) = table.victim(address) else { return false };
        table.close(number);
        self.metrics.evicted.increment();
        true
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.table().open.len()
    }

    /// Closes the connections from which nothing has arrived yet.
    pub(crate) fn close_silent(&self) {
        let mut table = self.table();
        let silent = |entry: &Entry| entry.stage == Stage::Silent;
        let numbers: Vec<u64> =
            table.open.iter().filter(|(_, entry)| silent(entry)).map(|(n, _)| *n).collect();
        numbers.into_iter().for_each(|number| table.close(number));
    }

    /// Waits until no connection has a thread or `deadline` has passed, and returns how many still have one.
    pub(crate) fn wait_idle(&self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = self.left.wait_timeout_while(self.table(), left, |table| table.threads > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.threads
    }
}

impl Table {
    fn has_room_for(&self, address: Option<IpAddr>) -> bool {
        let count = address.and_then(|address| self.counts.get(&address));
        count.is_none_or(|count| *count < MAX_OF_ADDRESS)
    }

    fn count(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address {
            *self.counts.entry(address).or_default() += 1;
        }
    }

    fn discount(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }

    /// The oldest connection for which nobody works: of `address` if given, else of the address with most.
    fn victim(&self, address: Option<IpAddr>) -> Option<u64> {
        let crowd = |entry: &Entry| {
            entry.address.and_then(|address| self.counts.get(&address)).copied().unwrap_or(0)
        };
        let closable = self.open.iter().filter(|(_, entry)| {
            entry.stage != Stage::Work && (address.is_none() || entry.address == address)
        });
        let order = |entry: &Entry| (std::cmp::Reverse(crowd(entry)), entry.since);
        closable.min_by_key(|(_, entry)| order(entry)).map(|(number, _)| *number)
    }

    /// Forgets a connection and wakes its thread.
    fn close(&mut self, number: u64) {
        if let Some(entry) = self.open.remove(&number) {
            self.discount(entry.address);
            let _ = entry.socket.shutdown(Shutdown::Both);
        }
    }
}

impl Place {
    fn enter(&self, stage: Stage) {
        if let Some(entry) = self.places.table().open.get_mut(&self.number) {
            entry.stage = stage;
        }
    }

    /// The first bytes have arrived, or the answer leaves.
    pub(crate) fn transfer(&self) {
        self.enter(Stage::Transfer);
    }

    /// The request is complete; from now on the connection stays open until it is answered.
    pub(crate) fn work(&self) {
        self.enter(Stage::Work);
    }

    /// Counts the connection as one of `address`, for which a trusted proxy asks. False if that has too many.
    pub(crate) fn belongs_to(&self, address: IpAddr) -> bool {
        let address = Some(client_prefix(address));
        let mut table = self.places.table();
        match table.open.get(&self.number) {
            Some(entry) if entry.address != address => {}
            _ => return true,
        }
        if !table.has_room_for(address) && !self.places.evict(&mut table, address) {
            self.places.metrics.refused_of_address.increment();
            return false;
        }
        let before = table.open.get_mut(&self.number);
        let before = before.and_then(|entry| std::mem::replace(&mut entry.address, address));
        table.discount(before);
        table.count(address);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table();
        if let Some(entry) = table.open.remove(&self.number) {
            table.discount(entry.address);
        }
        table.threads -= 1;
        self.places.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read as _;
    use std::net::{IpAddr, TcpListener, TcpStream};
    use std::sync::Arc;

    use super::{MAX_CONNECTIONS, MAX_OF_ADDRESS, Place, Places};

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    /// One socket stands for all that no test reads.
    fn socket(listener: &TcpListener) -> Arc<TcpStream> {
        Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap())
    }

    fn ip(number: usize) -> Option<IpAddr> {
        let [_, _, high, low] = u32::try_from(number).unwrap().to_be_bytes();
        Some(IpAddr::from([192, 0, high, low]))
    }

    fn is_closed(socket: &TcpStream) -> bool {
        socket.set_nonblocking(true).unwrap();
        matches!((&*socket).read(&mut [0]), Ok(0))
    }

    #[test]
    fn a_newcomer_of_a_full_address_takes_the_place_of_its_oldest_for_whom_nobody_works() {
        let places = Places::new(Arc::default());
        let listener = listener();
        let (working, waiting) = (socket(&listener), socket(&listener));
        let _first = places.admit(&working, ip(1)).unwrap();
        _first.work();
        let _second = places.admit(&waiting, ip(1)).unwrap();
        let rest = socket(&listener);
        let _rest: Vec<Place> =
            (2..MAX_OF_ADDRESS).map(|_| places.admit(&rest, ip(1)).unwrap()).collect();
        assert!(!is_closed(&waiting));
        let _newcomer = places.admit(&rest, ip(1)).unwrap();
        assert!(is_closed(&waiting) && !is_closed(&working));
        assert_eq!(places.open(), MAX_OF_ADDRESS);
    }

    #[test]
    fn an_address_whose_questions_are_all_being_answered_is_refused_and_no_other() {
        let places = Places::new(Arc::default());
        let listener = listener();
        let socket = socket(&listener);
        let _all: Vec<Place> = (0..MAX_OF_ADDRESS)
            .map(|_| places.admit(&socket, ip(1)).unwrap())
            .inspect(Place::work)
            .collect();
        assert!(places.admit(&socket, ip(1)).is_none());
        let other = places.admit(&socket, ip(2)).unwrap();
        let proxied = places.admit(&socket, None).unwrap();
        assert!(!proxied.belongs_to(ip(1).unwrap()), "nor by way of a proxy");
        assert!(proxied.belongs_to(ip(2).unwrap()));
        drop(other);
    }

    #[test]
    fn when_all_places_are_taken_the_most_crowded_address_makes_room() {
        let places = Places::new(Arc::default());
        let listener = listener();
        let (crowd, single) = (socket(&listener), socket(&listener));
        let _oldest = places.admit(&single, ip(60_000)).unwrap();
        let _all: Vec<Place> = (1..MAX_CONNECTIONS)
            .map(|number| places.admit(&crowd, ip(number / 200)).unwrap())
            .collect();
        let _newcomer = places.admit(&single, ip(60_001)).unwrap();
        assert!(is_closed(&crowd) && !is_closed(&single));
        assert_eq!(places.open(), MAX_CONNECTIONS);
    }

    #[test]
    fn a_place_is_given_back() {
        let places = Places::new(Arc::default());
        let listener = listener();
        let socket = socket(&listener);
        for _ in 0..2 * MAX_OF_ADDRESS {
            drop(places.admit(&socket, ip(1)).unwrap());
        }
        assert_eq!(places.open(), 0);
        assert_eq!(places.wait_idle(std::time::Instant::now()), 0);
    }
}
