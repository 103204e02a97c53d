//! All ports together: opened, limited, drained.

pub(crate) mod bind;
pub(crate) mod event_loop;
pub(crate) mod socket_activation;

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Instant;

use super::connection::SlowClient;
use super::{Gate, limits};
use crate::gate::limits::eviction::{Candidate, select_victims};
use crate::gate::limits::permits::{FairSemaphore, Kind};
use crate::gate::listener::bind::Bound;
use crate::gate::listener::event_loop::EventLoop;

/// All ports, open.
pub(crate) struct Listeners {
    gate: Arc<Gate>,
    shared: Arc<SharedState>,
    ports: Vec<Arc<EventLoop>>,
}

/// What all ports share.
pub(crate) struct SharedState {
    /// Processors we may use: so many threads watch a port when there is much to do.
    pub(crate) processors: usize,
    /// Threads that wait for something, shared by number of the service that is to be found, and by passwords
    /// that are to be hashed under the number behind the last.
    pub(crate) threads: FairSemaphore,
    connections: AtomicUsize,
    connection_ceiling: usize,
    /// See [`limits::STRANGERS`].
    pub(crate) strangers: usize,
    ports: OnceLock<Vec<Weak<EventLoop>>>,
}

impl Listeners {
    /// Starts a thread for each port.
    ///
    /// # Errors
    /// When the kernel has no more descriptors or threads for us.
    pub(crate) fn start(gate: Arc<Gate>, bound: Vec<Bound>) -> io::Result<Listeners> {
        let connection_ceiling = limits::connections();
        let shared = Arc::new(SharedState {
            processors: thread::available_parallelism().map_or(1, NonZero::get),
            threads: FairSemaphore::new(limits::THREADS, gate.config.services.len() + 1),
            connections: AtomicUsize::new(0),
            connection_ceiling,
            strangers: limits::STRANGERS.min(connection_ceiling / 8),
            ports: OnceLock::new(),
        });
        let mut ports = Vec::new();
        for Bound { listener, listen } in bound {
            let port = EventLoop::new(Arc::clone(&gate), Arc::clone(&shared), listener, listen)?;
            ports.push(Arc::new(port));
        }
        let _ = shared.ports.set(ports.iter().map(Arc::downgrade).collect()); // once, here
        if !ports.iter().all(EventLoop::spawn_worker) {
            return Err(io::Error::other("cannot start a thread"));
        }
        Ok(Listeners { gate, shared, ports })
    }

    /// Takes nobody new in, lets what is in flight finish until `deadline`, and says how many exchanges
    /// had to be cut.
    pub(crate) fn drain(self, deadline: Instant) -> usize {
        self.gate.draining.store(true, Ordering::Relaxed);
        for port in &self.ports {
            port.shut();
        }
        // What waits on a thread may become an exchange; an exchange goes on without one.
        let threads = self.shared.threads.wait_until_empty(deadline);
        threads.max(self.gate.places.wait_until_empty(deadline))
    }
}

impl SharedState {
    /// A client has come; false if there are as many as there may be.
    pub(crate) fn connection_came(&self) -> bool {
        self.connections.fetch_add(1, Ordering::SeqCst) < self.connection_ceiling
    }

    /// Closes connections for which nobody works, wherever they came in; see [`select_victims`].
    pub(crate) fn evict_idle(&self) {
        let ports = self.ports();
        let mut crowd: Vec<(Candidate, &Arc<EventLoop>)> = Vec::new();
        for port in &ports {
            crowd.extend(port.waiting().into_iter().map(|waiting| (waiting, port)));
        }
        for (waiting, port) in select_victims(crowd) {
            port.dismiss(waiting.token);
        }
    }

    /// Takes their places from those whose clients may have gone and who have dawdled longest in them,
    /// wherever they came in; false if nobody does.
    pub(crate) fn evict_slow(&self, kind: Kind) -> bool {
        let ports = self.ports();
        let mut dawdlers: Vec<(SlowClient, u64, &Arc<EventLoop>)> = Vec::new();
        for port in &ports {
            let here = port.dawdlers(kind).into_iter();
            dawdlers.extend(here.map(|(since, token)| (since, token, port)));
        }
        dawdlers.sort_unstable_by_key(|dawdler| dawdler.0);
        let evicted = dawdlers.iter().take(limits::EVICTED_AT_ONCE);
        evicted.filter(|(_, token, port)| port.evict(*token, kind)).count() > 0
    }

    fn ports(&self) -> Vec<Arc<EventLoop>> {
        self.ports.get().into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn connections_gone(&self, count: usize) {
        self.connections.fetch_sub(count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
