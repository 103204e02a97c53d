//! Work that blocks, on threads of their own.

use std::sync::{Arc, Mutex, PoisonError};

use super::EventLoop;
use crate::gate::connection::Connection;
use crate::gate::connection::table::Event;
use crate::gate::connection::work::{HandlerRun, Work};
use crate::gate::proxy::exchange::Buffers;

/// Stack of a thread that calls a handler; the deepest work is reading a certificate.
const HANDLER_STACK_BYTES: usize = 512 << 10;

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
        self.leave_queue_to_others();
    }

    /// Lets a thread of its own call a handler of the management API and then drive the connection on, which waits in
    /// the table. Returns the connection if there is no thread, or if an event has come in the meantime.
    pub(crate) fn call(
        self: &Arc<EventLoop>,
        token: u64,
        connection: Box<Connection>,
        run: HandlerRun,
    ) -> Option<Box<Connection>> {
        let Some(permit) = self.shared.threads.try_acquire_for(self.gate.own_thread_share()) else {
            return Some(connection);
        };
        let event_loop = Arc::clone(self);
        let started = self.thread().stack_size(HANDLER_STACK_BYTES).spawn(move || {
            let _permit = permit;
            run.run(&event_loop.gate);
            event_loop.on_event(token, Event::default(), &mut Buffers::default());
            event_loop.leave_queue_to_others();
        });
        if started.is_ok() { self.put_back(token, connection) } else { Some(connection) }
    }

    /// Wakes a thread of the loop for what this thread, which ends, has queued: they may all wait for an event.
    fn leave_queue_to_others(&self) {
        if self.connections().has_queued() {
            // Fails only if the counter is at its maximum after 2^64 - 2 of these, because nobody reads it.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }
}
