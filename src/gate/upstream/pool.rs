//! Idle connections to all services, kept for the next request.
//!
//! The pool has no limit of its own: a new connection that needs a descriptor closes the connection that has
//! been idle longest, whichever service it goes to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::stream::{DescriptorPermit, UpstreamStream};
use crate::gate::limits;

/// The pool of all services.
pub(crate) struct IdlePool {
    /// Descriptors of all connections to services, idle or in use.
    descriptors: Arc<AtomicUsize>,
    ceiling: usize,
    /// By the number of the service, the most recently used last.
    idle: Mutex<Vec<VecDeque<(Instant, UpstreamStream)>>>,
}

impl IdlePool {
    /// A pool for services with numbers below `services`.
    pub(crate) fn new(services: usize) -> Arc<IdlePool> {
        IdlePool::with_ceiling(services, limits::upstream_descriptors())
    }

    fn with_ceiling(services: usize, ceiling: usize) -> Arc<IdlePool> {
        let idle = std::iter::repeat_with(VecDeque::new).take(services).collect();
        Arc::new(IdlePool { descriptors: Arc::default(), ceiling, idle: Mutex::new(idle) })
    }

    /// Counts `count` descriptors for a new connection, and closes idle connections to stay below the ceiling.
    pub(crate) fn reserve(&self, count: usize) -> DescriptorPermit {
        // Connections in use are limited by their permits, see `limits::exchanges`.
        while self.descriptors.load(Ordering::Relaxed) + count > self.ceiling && self.close_oldest()
        {
        }
        DescriptorPermit::new(&self.descriptors, count)
    }

    /// Puts a connection to service `number` into the pool.
    pub(crate) fn put(&self, number: usize, stream: UpstreamStream) {
        if let Some(idle) = self.idle().get_mut(number) {
            idle.push_back((Instant::now(), stream));
        }
    }

    /// Takes the most recently used connection to service `number`, and when it became idle.
    pub(crate) fn take(&self, number: usize) -> Option<(Instant, UpstreamStream)> {
        self.idle().get_mut(number)?.pop_back()
    }

    /// Closes connections that have been idle for [`limits::UPSTREAM_IDLE`].
    pub(crate) fn expire_idle(&self, now: Instant) {
        let fresh = |since: Instant| now.saturating_duration_since(since) < limits::UPSTREAM_IDLE;
        self.idle().iter_mut().for_each(|idle| idle.retain(|(since, _)| fresh(*since)));
    }

    /// Closes the connection that has been idle longest; false if the pool is empty.
    pub(crate) fn close_oldest(&self) -> bool {
        let mut idle = self.idle();
        let waiting = idle.iter_mut().filter(|idle| !idle.is_empty());
        let oldest = waiting.min_by_key(|idle| idle.front().map(|(since, _)| *since));
        oldest.and_then(VecDeque::pop_front).is_some()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<VecDeque<(Instant, UpstreamStream)>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::Instant;

    use super::{IdlePool, limits};
    use crate::gate::upstream::stream::UpstreamStream;

    /// A connection that takes two descriptors, and its other end.
    fn connection(idle_pool: &Arc<IdlePool>) -> (UpstreamStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (UpstreamStream::unix(ours, idle_pool.reserve(2)), theirs)
    }

    fn is_closed(theirs: &mut UnixStream) -> bool {
        matches!(theirs.read(&mut [0]), Ok(0))
    }

    #[test]
    fn a_connection_that_has_been_idle_too_long_is_closed() {
        let idle_pool = IdlePool::with_ceiling(1, 2);
        let (ours, mut theirs) = connection(&idle_pool);
        idle_pool.put(0, ours);
        idle_pool.expire_idle(Instant::now());
        assert!(!is_closed(&mut theirs));
        idle_pool.expire_idle(Instant::now() + limits::UPSTREAM_IDLE);
        assert!(is_closed(&mut theirs), "the service sees the end");
        assert!(idle_pool.take(0).is_none());
    }

    #[test]
    fn a_new_connection_without_a_descriptor_closes_the_oldest_idle_one_of_any_service() {
        let idle_pool = IdlePool::with_ceiling(2, 6);
        let (first, second) = (0, 1);
        let [(a, mut a_end), (b, mut b_end), (c, mut c_end)] =
            [(); 3].map(|()| connection(&idle_pool));
        idle_pool.put(second, a);
        idle_pool.put(first, b);
        idle_pool.put(first, c);
        let (d, mut d_end) = connection(&idle_pool);
        assert!(is_closed(&mut a_end) && !is_closed(&mut b_end) && !is_closed(&mut c_end));
        assert!(idle_pool.take(second).is_none());
        // A connection in use is never closed.
        let (_c, _in_use) = (idle_pool.take(first).unwrap(), connection(&idle_pool));
        assert!(is_closed(&mut b_end) && !is_closed(&mut c_end) && !is_closed(&mut d_end));
        drop(d);
        assert!(!idle_pool.close_oldest());
    }
}
