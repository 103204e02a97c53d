//! A counting semaphore that never blocks an acquirer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Limits how many permits are held at the same time.
pub(crate) struct Semaphore {
    count: Mutex<Count>,
    empty: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct Count {
    taken: usize,
    /// Whether a thread waits for the last permit; without one, notifying would be a needless system call.
    has_waiter: bool,
}

/// One unit of a [`Semaphore`], released when dropped.
pub(crate) struct Permit(Arc<Semaphore>);

impl Semaphore {
    pub(crate) fn new(capacity: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore { count: Mutex::default(), empty: Condvar::new(), capacity })
    }

    /// Acquires a permit, or returns `None` if all are held.
    pub(crate) fn try_acquire(self: &Arc<Semaphore>) -> Option<Permit> {
        let mut count = self.count();
        if count.taken >= self.capacity {
            return None;
        }
        count.taken += 1;
        Some(Permit(Arc::clone(self)))
    }

    /// Waits until no permit is held or `deadline` has passed, and returns how many are still held.
    pub(crate) fn wait_idle(&self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut count = self.count();
        count.has_waiter = true;
        let (count, _) = self
            .empty
            .wait_timeout_while(count, left, |count| count.taken > 0)
            .unwrap_or_else(PoisonError::into_inner);
        count.taken
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut count = self.0.count();
        count.taken -= 1;
        if count.taken == 0 && count.has_waiter {
            self.0.empty.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::thread;
    use std::time::{Duration, Instant};

    use super::Semaphore;

    #[test]
    fn there_are_so_many_places_and_each_is_given_back() {
        let semaphore = Semaphore::new(2);
        let (first, second) = (semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap());
        assert!(semaphore.try_acquire().is_none());
        drop(first);
        let _third = semaphore.try_acquire().unwrap();
        assert_eq!(semaphore.wait_idle(Instant::now()), 2);
        drop(second);
        assert_eq!(semaphore.wait_idle(Instant::now()), 1);
    }

    #[test]
    fn who_waits_hears_when_the_last_has_gone() {
        let semaphore = Semaphore::new(1);
        let place = semaphore.try_acquire().unwrap();
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| semaphore.wait_idle(Instant::now() + Duration::from_secs(20)));
            drop(place);
            assert_eq!(waiting.join().unwrap(), 0);
        });
    }
}
