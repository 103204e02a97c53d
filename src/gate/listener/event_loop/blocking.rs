//! Work that blocks, on threads of their own.

use std::sync::{Arc, Mutex, PoisonError};

use super::EventLoop;
use crate::gate::connection::Connection;
use crate::gate::connection::work::Work;
use crate::gate::proxy::exchange::Buffers;

impl EventLoop {
    /// Lets a thread of its own do `work` for a connection; returns the connection, with a 503, if there is none.
    pub(crate) fn block(
        self: &Arc<EventLoop>,
        token: u64,
        mut connection: Box<Connection>,
        work: Work,
    ) -> Option<Box<Connection>> {
        let Some(permit) = self.shared.threads.try_acquire_for(self.gate.thread_share(&work))
        else {
            self.gate.reject_work(&mut connection, &self.listen, work);
            return Some(connection);
        };
        // Both stay here until the thread takes them, so that they are not lost if there is no thread.
        let handed = Arc::new(Mutex::new(Some((connection, work))));
        let (event_loop, taken) = (Arc::clone(self), Arc::clone(&handed));
        let started = self.thread().spawn(move || {
            let _permit = permit;
            let taken = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((connection, work)) = taken {
                event_loop.run_work(token, connection, work);
            }
        });
        if started.is_ok() {
            return None;
        }
        let (mut connection, work) =
            handed.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.gate.reject_work(&mut connection, &self.listen, work);
        Some(connection)
    }

    /// Does `work` on a thread that may block, and drives its connection on.
    fn run_work(self: &Arc<EventLoop>, token: u64, mut connection: Box<Connection>, work: Work) {
        let mut buffers = Buffers::default();
        let action = self.gate.catch_panic(&mut connection, |gate, connection| {
            gate.run_work(connection, work);
            gate.advance(connection, &self.listen, &mut buffers)
        });
        self.carry_out(token, connection, action, &mut buffers);
        // This thread ends, so what it has queued is for the others, which may all wait for an event.
        if self.connections().has_queued() {
            // Fails only if the counter is at its maximum after 2^64 - 2 of these, because nobody reads it.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }
}
