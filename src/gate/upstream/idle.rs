//! Connections to services: all that there are, and those of them that wait for the next request.
//!
//! How many wait has no limit of its own: whoever needs a descriptor for a new connection takes that of
//! the one that has waited longest, whichever service it goes to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::stream::ServiceStream;
use crate::gate::limits;

/// One for all services.
pub(crate) struct Kept {
    /// Descriptors that connections to services hold, kept or in use, and how many they may.
    held: Arc<AtomicUsize>,
    ceiling: usize,
    /// By the number of the service; the one used last is the last.
    idle: Mutex<Vec<VecDeque<(Instant, ServiceStream)>>>,
}

/// Counts the descriptors of one connection for as long as it is there.
pub(crate) struct Seat {
    held: Arc<AtomicUsize>,
    count: usize,
}

impl Kept {
    /// For services with numbers below `services`.
    pub(crate) fn new(services: usize) -> Arc<Kept> {
        Kept::with_ceiling(services, limits::service_descriptors())
    }

    fn with_ceiling(services: usize, ceiling: usize) -> Arc<Kept> {
        let idle = std::iter::repeat_with(VecDeque::new).take(services).collect();
        Arc::new(Kept { held: Arc::default(), ceiling, idle: Mutex::new(idle) })
    }

    /// For a new connection that takes `count` descriptors; kept ones are closed where there is no room.
    pub(crate) fn seat(&self, count: usize) -> Seat {
        // Those in use are limited by their places, see `limits::exchanges`.
        while self.held.load(Ordering::Relaxed) + count > self.ceiling && self.give_up_oldest() {}
        self.held.fetch_add(count, Ordering::Relaxed);
        Seat { held: Arc::clone(&self.held), count }
    }

    /// Keeps a connection to service `number`.
    pub(crate) fn keep(&self, number: usize, stream: ServiceStream) {
        if let Some(idle) = self.idle().get_mut(number) {
            idle.push_back((Instant::now(), stream));
        }
    }

    /// The one used last.
    pub(crate) fn take(&self, number: usize) -> Option<(Instant, ServiceStream)> {
        self.idle().get_mut(number)?.pop_back()
    }

    /// Hangs up where nothing was asked for too long.
    pub(crate) fn expire_idle(&self, now: Instant) {
        let fresh = |since: Instant| now.saturating_duration_since(since) < limits::SERVICE_IDLE;
        self.idle().iter_mut().for_each(|idle| idle.retain(|(since, _)| fresh(*since)));
    }

    /// Closes the one that has waited longest; false if none is kept.
    pub(crate) fn give_up_oldest(&self) -> bool {
        let mut idle = self.idle();
        let waiting = idle.iter_mut().filter(|idle| !idle.is_empty());
        let oldest = waiting.min_by_key(|idle| idle.front().map(|(since, _)| *since));
        oldest.and_then(VecDeque::pop_front).is_some()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<VecDeque<(Instant, ServiceStream)>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.held.fetch_sub(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::Instant;

    use super::{Kept, limits};
    use crate::gate::upstream::stream::ServiceStream;

    /// A connection that takes two descriptors, and its far end.
    fn connection(kept: &Arc<Kept>) -> (ServiceStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ServiceStream::unix(ours, kept.seat(2)), theirs)
    }

    fn is_closed(theirs: &mut UnixStream) -> bool {
        matches!(theirs.read(&mut [0]), Ok(0))
    }

    #[test]
    fn a_connection_that_nobody_needs_any_more_is_closed() {
        let kept = Kept::with_ceiling(1, 2);
        let (ours, mut theirs) = connection(&kept);
        kept.keep(0, ours);
        kept.expire_idle(Instant::now());
        assert!(!is_closed(&mut theirs));
        kept.expire_idle(Instant::now() + limits::SERVICE_IDLE);
        assert!(is_closed(&mut theirs), "the service sees the end");
        assert!(kept.take(0).is_none());
    }

    #[test]
    fn all_are_kept_until_somebody_needs_a_descriptor_and_then_the_oldest_of_any_service_goes() {
        let kept = Kept::with_ceiling(2, 6);
        let (first, second) = (0, 1);
        let [(a, mut a_end), (b, mut b_end), (c, mut c_end)] = [(); 3].map(|()| connection(&kept));
        kept.keep(second, a);
        kept.keep(first, b);
        kept.keep(first, c);
        let (d, mut d_end) = connection(&kept);
        assert!(is_closed(&mut a_end) && !is_closed(&mut b_end) && !is_closed(&mut c_end));
        assert!(kept.take(second).is_none());
        // One in use never goes.
        let (_c, _in_use) = (kept.take(first).unwrap(), connection(&kept));
        assert!(is_closed(&mut b_end) && !is_closed(&mut c_end) && !is_closed(&mut d_end));
        drop(d);
        assert!(!kept.give_up_oldest());
    }
}
