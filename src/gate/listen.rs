//! All ports together: opened, limited, drained.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::bind::Bound;
use super::port::Port;
use super::tally::Tally;
use super::{Gate, limits};

/// All ports, open.
pub struct Open {
    gate: Arc<Gate>,
    house: Arc<House>,
    ports: Vec<Arc<Port>>,
}

/// What all ports share.
pub(super) struct House {
    /// Processors we may use: so many threads watch a port when there is much to do.
    pub(super) processors: usize,
    /// Threads that wait for something.
    pub(super) threads: Arc<Tally>,
    connections: AtomicUsize,
    connection_ceiling: usize,
}

impl Open {
    /// Starts a thread for each port.
    ///
    /// # Errors
    /// When the kernel has no more descriptors or threads for us.
    pub fn start(gate: Arc<Gate>, bound: Vec<Bound>) -> io::Result<Open> {
        let house = Arc::new(House {
            processors: thread::available_parallelism().map_or(1, NonZero::get),
            threads: Tally::new(limits::THREADS),
            connections: AtomicUsize::new(0),
            connection_ceiling: limits::connections(),
        });
        let mut ports = Vec::new();
        for Bound { listener, listen } in bound {
            let port = Port::new(Arc::clone(&gate), Arc::clone(&house), listener, listen)?;
            let port = Arc::new(port);
            if !port.hire() {
                return Err(io::Error::other("cannot start a thread"));
            }
            ports.push(port);
        }
        Ok(Open { gate, house, ports })
    }

    /// Takes nobody new in, lets what is in flight finish for up to nine seconds, and says how
    /// many exchanges had to be cut.
    pub fn drain(self) -> usize {
        let deadline = Instant::now() + limits::DRAIN;
        self.gate.draining.store(true, Ordering::Relaxed);
        for port in &self.ports {
            port.shut();
        }
        // What waits on a thread may become an exchange; an exchange goes on without one.
        let threads = self.house.threads.wait_until_empty(deadline);
        let exchanges = [&self.gate.exchanges, &self.gate.own_exchanges]
            .map(|exchanges| exchanges.wait_until_empty(deadline));
        threads.max(exchanges.iter().sum())
    }
}

impl House {
    /// A client has come; false if there are as many as there may be.
    pub(super) fn connection_came(&self) -> bool {
        self.connections.fetch_add(1, Ordering::SeqCst) < self.connection_ceiling
    }

    pub(super) fn connections_gone(&self, count: usize) {
        self.connections.fetch_sub(count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
