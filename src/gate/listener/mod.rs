//! All listeners together: start and drain.

pub(crate) mod bind;
pub(crate) mod event_loop;
pub(crate) mod shared;
pub(crate) mod socket_activation;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Gate;
use crate::gate::listener::bind::Bound;
use crate::gate::listener::event_loop::EventLoop;
use crate::gate::listener::shared::{SharedState, Table};

/// The running listeners.
pub(crate) struct Listeners {
    gate: Arc<Gate>,
    shared: Arc<SharedState>,
    event_loops: Vec<Arc<EventLoop>>,
}

impl Listeners {
    /// Starts an event loop for each listener.
    ///
    /// # Errors
    /// When the kernel has no more descriptors or threads for us.
    pub(crate) fn start(gate: Arc<Gate>, bound: Vec<Bound>) -> io::Result<Listeners> {
        let tables: Vec<Table> = bound.iter().map(|_| Table::default()).collect();
        let shared = Arc::new(SharedState::new(gate.config.services.len(), tables.clone()));
        let mut event_loops = Vec::new();
        for (Bound { listener, listen }, connections) in bound.into_iter().zip(tables) {
            let (gate, shared) = (Arc::clone(&gate), Arc::clone(&shared));
            let event_loop = EventLoop::new(gate, shared, connections, listener, listen)?;
            event_loops.push(Arc::new(event_loop));
        }
        if !event_loops.iter().all(EventLoop::spawn_worker) {
            return Err(io::Error::other("cannot start a thread"));
        }
        Ok(Listeners { gate, shared, event_loops })
    }

    /// Accepts no new connections, waits until all requests are finished or `deadline` has passed, and returns how
    /// many requests are left.
    pub(crate) fn drain(self, deadline: Instant) -> usize {
        self.gate.draining.store(true, Ordering::Relaxed);
        self.gate.management.drain();
        for event_loop in &self.event_loops {
            event_loop.shutdown();
        }
        // A request on a blocking thread may become an exchange, never the other way round.
        let threads = self.shared.threads.wait_idle(deadline);
        threads.max(self.gate.request_limits.wait_idle(deadline))
    }
}

#[cfg(test)]
mod tests;
