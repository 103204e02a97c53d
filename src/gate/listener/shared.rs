//! What all event loops share: their tables of connections, the connection limit, and threads for work that blocks.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::gate::connection::table::ConnectionTable;
use crate::gate::connection::{Action, Connection};
use crate::gate::limits::eviction::{Need, select_victims};
use crate::gate::{Gate, limits};
use crate::util::semaphore::Semaphore;

/// The connections of one event loop.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<Mutex<ConnectionTable>>);

impl Table {
    pub(crate) fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes a connection that was taken out of the table.
    pub(crate) fn close(&self, token: u64, connection: Box<Connection>) {
        self.lock().remove(token);
        drop(connection);
    }
}

/// The state that all event loops share.
pub(crate) struct SharedState {
    /// Processors that we may use: the maximum number of threads of one event loop.
    pub(crate) processors: usize,
    /// Permits for threads that block. The sharers are the services to connect to, and password hashing with the
    /// number after the last.
    pub(crate) threads: Arc<Semaphore>,
    /// Permits for connections.
    pub(crate) connections: Arc<Semaphore>,
    /// See [`limits::MAX_PENDING_HANDSHAKES`].
    pub(crate) max_pending_handshakes: usize,
    tables: Vec<Table>,
}

impl SharedState {
    /// The state for event loops with these tables, and so many services.
    pub(crate) fn new(services: usize, tables: Vec<Table>) -> SharedState {
        let connections = limits::connections();
        SharedState {
            processors: thread::available_parallelism().map_or(1, NonZero::get),
            threads: Semaphore::shared(limits::BLOCKING_THREADS, services + 1),
            connections: Semaphore::new(connections),
            max_pending_handshakes: limits::MAX_PENDING_HANDSHAKES.min(connections / 8),
            tables,
        }
    }

    /// Evicts connections of all listeners, which gives what is needed; false if there are none. See
    /// [`select_victims`].
    pub(crate) fn evict(&self, gate: &Gate, need: Need) -> bool {
        let candidate = |connection: &Connection| connection.candidate(need, &gate.request_limits);
        let mut all = Vec::new();
        for table in &self.tables {
            let connections = table.lock();
            let here = connections.candidates(candidate);
            all.extend(here.map(|(token, candidate)| (candidate, (token, table))));
        }
        let mut evicted = false;
        for (_, (token, table)) in select_victims(all) {
            // It may have gone on in the meantime.
            let taken = table.lock().take_if(token, |connection| candidate(connection).is_some());
            if let Some(mut connection) = taken {
                let _ = gate.catch_panic(&mut connection, Gate::evict);
                table.close(token, connection);
                gate.metrics.evicted();
                evicted = true;
            }
        }
        evicted
    }
}

impl Gate {
    /// Calls `act`; a panic closes the connection and nothing else.
    pub(crate) fn catch_panic(
        &self,
        connection: &mut Connection,
        act: impl FnOnce(&Gate, &mut Connection) -> Action,
    ) -> Action {
        catch_unwind(AssertUnwindSafe(|| act(self, connection))).unwrap_or_else(|_| {
            let peer = connection.peer;
            self.log.error(format_args!("{peer}: internal error (panic); connection closed"));
            Action::Close
        })
    }
}
