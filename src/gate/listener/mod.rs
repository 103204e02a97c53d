//! All listeners together: start, connection limit, drain.

pub(crate) mod bind;
pub(crate) mod event_loop;
pub(crate) mod socket_activation;

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Instant;

use super::{Gate, limits};
use crate::gate::limits::eviction::{Candidate, SlowClient, select_victims};
use crate::gate::limits::permits::{Class, FairSemaphore};
use crate::gate::listener::bind::Bound;
use crate::gate::listener::event_loop::EventLoop;

/// The running listeners.
pub(crate) struct Listeners {
    gate: Arc<Gate>,
    shared: Arc<SharedState>,
    event_loops: Vec<Arc<EventLoop>>,
}

/// The state that all event loops share.
pub(crate) struct SharedState {
    /// Processors that we may use: the maximum number of threads of one event loop.
    pub(crate) processors: usize,
    /// Permits for threads that block. The sharers are the services to connect to, and password hashing with the
    /// number after the last.
    pub(crate) threads: FairSemaphore,
    connections: AtomicUsize,
    connection_ceiling: usize,
    /// See [`limits::MAX_PENDING_HANDSHAKES`].
    pub(crate) max_pending_handshakes: usize,
    event_loops: OnceLock<Vec<Weak<EventLoop>>>,
}

impl Listeners {
    /// Starts an event loop for each listener.
    ///
    /// # Errors
    /// When the kernel has no more descriptors or threads for us.
    pub(crate) fn start(gate: Arc<Gate>, bound: Vec<Bound>) -> io::Result<Listeners> {
        let connection_ceiling = limits::connections();
        let shared = Arc::new(SharedState {
            processors: thread::available_parallelism().map_or(1, NonZero::get),
            threads: FairSemaphore::new(limits::BLOCKING_THREADS, gate.config.services.len() + 1),
            connections: AtomicUsize::new(0),
            connection_ceiling,
            max_pending_handshakes: limits::MAX_PENDING_HANDSHAKES.min(connection_ceiling / 8),
            event_loops: OnceLock::new(),
        });
        let mut event_loops = Vec::new();
        for Bound { listener, listen } in bound {
            let (gate, shared) = (Arc::clone(&gate), Arc::clone(&shared));
            event_loops.push(Arc::new(EventLoop::new(gate, shared, listener, listen)?));
        }
        let _ = shared.event_loops.set(event_loops.iter().map(Arc::downgrade).collect()); // only here
        if !event_loops.iter().all(EventLoop::spawn_worker) {
            return Err(io::Error::other("cannot start a thread"));
        }
        Ok(Listeners { gate, shared, event_loops })
    }

    /// Accepts no new connections, waits until all requests are finished or `deadline` has passed, and returns how
    /// many requests are left.
    pub(crate) fn drain(self, deadline: Instant) -> usize {
        self.gate.draining.store(true, Ordering::Relaxed);
        for event_loop in &self.event_loops {
            event_loop.shutdown();
        }
        // A request on a blocking thread may become an exchange, never the other way round.
        let threads = self.shared.threads.wait_until_empty(deadline);
        threads.max(self.gate.request_limits.wait_until_empty(deadline))
    }
}

impl SharedState {
    /// Counts a new connection; false if the limit is exceeded.
    pub(crate) fn connection_opened(&self) -> bool {
        self.connections.fetch_add(1, Ordering::SeqCst) < self.connection_ceiling
    }

    /// Closes idle connections of all listeners; see [`select_victims`].
    pub(crate) fn evict_idle(&self) {
        let event_loops = self.event_loops();
        let mut all: Vec<(Candidate, &Arc<EventLoop>)> = Vec::new();
        for event_loop in &event_loops {
            let here = event_loop.idle_candidates().into_iter();
            all.extend(here.map(|candidate| (candidate, event_loop)));
        }
        for (victim, event_loop) in select_victims(all) {
            event_loop.evict_idle(victim.token);
        }
    }

    /// Evicts the slowest clients of all listeners that hold a permit which a request of `class` can use; false if
    /// there are none.
    pub(crate) fn evict_slow(&self, class: Class) -> bool {
        let event_loops = self.event_loops();
        let mut all: Vec<(SlowClient, u64, &Arc<EventLoop>)> = Vec::new();
        for event_loop in &event_loops {
            let here = event_loop.slow_clients(class).into_iter();
            all.extend(here.map(|(slow, token)| (slow, token, event_loop)));
        }
        all.sort_unstable_by_key(|(slow, _, _)| *slow);
        let evicted = all.iter().take(limits::EVICTED_PER_TURN);
        evicted.filter(|(_, token, event_loop)| event_loop.evict_slow(*token, class)).count() > 0
    }

    fn event_loops(&self) -> Vec<Arc<EventLoop>> {
        self.event_loops.get().into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn connections_closed(&self, count: usize) {
        self.connections.fetch_sub(count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
