//! What all event loops share: their tables of connections, the connection limit, and threads for work that blocks.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::gate::connection::table::ConnectionTable;
use crate::gate::connection::{Action, Connection};
use crate::gate::limits::eviction::{Candidate, SlowClient, select_victims};
use crate::gate::limits::permits::{Class, FairSemaphore};
use crate::gate::{Gate, limits};

/// The connections of one event loop.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<Mutex<ConnectionTable>>);

impl Table {
    pub(crate) fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    tables: Vec<Table>,
}

impl SharedState {
    /// The state for event loops with these tables, and so many services.
    pub(crate) fn new(services: usize, tables: Vec<Table>) -> SharedState {
        let connection_ceiling = limits::connections();
        SharedState {
            processors: thread::available_parallelism().map_or(1, NonZero::get),
            threads: FairSemaphore::new(limits::BLOCKING_THREADS, services + 1),
            connections: AtomicUsize::new(0),
            connection_ceiling,
            max_pending_handshakes: limits::MAX_PENDING_HANDSHAKES.min(connection_ceiling / 8),
            tables,
        }
    }

    /// Counts a new connection; false if the limit is exceeded.
    pub(crate) fn connection_opened(&self) -> bool {
        self.connections.fetch_add(1, Ordering::SeqCst) < self.connection_ceiling
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.fetch_sub(1, Ordering::SeqCst);
    }

    /// Closes a connection of `table`.
    pub(crate) fn close(&self, table: &Table, token: u64, connection: Box<Connection>) {
        table.lock().remove(token);
        drop(connection);
        self.connection_closed();
    }

    /// Closes idle connections of all listeners; see [`select_victims`].
    pub(crate) fn evict_idle(&self) {
        let mut all: Vec<(Candidate, &Table)> = Vec::new();
        for table in &self.tables {
            all.extend(table.lock().idle_candidates().map(|candidate| (candidate, table)));
        }
        for (Candidate { token, .. }, table) in select_victims(all) {
            // It may have become busy in the meantime.
            let taken = table.lock().take_if(token, |connection| connection.idle_since().is_some());
            if let Some(connection) = taken {
                self.close(table, token, connection);
            }
        }
    }

    /// Evicts the slowest clients of all listeners that hold a permit which a request of `class` can use; false if
    /// there are none.
    pub(crate) fn evict_slow(&self, gate: &Gate, class: Class) -> bool {
        let makes_room = |from| gate.request_limits.makes_room(from, class);
        let mut all: Vec<(SlowClient, u64, &Table)> = Vec::new();
        for table in &self.tables {
            let connections = table.lock();
            let here = connections.slow_clients(makes_room);
            all.extend(here.map(|(slow, token)| (slow, token, table)));
        }
        all.sort_unstable_by_key(|(slow, _, _)| *slow);
        let mut evicted = false;
        for (_, token, table) in all.into_iter().take(limits::EVICTED_PER_TURN) {
            let taken = table.lock().take_if(token, |connection| {
                connection.slow_client().is_some_and(|(from, _)| makes_room(from))
            });
            if let Some(mut connection) = taken {
                let _ = gate.catch_panic(&mut connection, Gate::evict);
                self.close(table, token, connection);
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
