//! A counting semaphore that never blocks an acquirer, and whose permits can be divided among sharers.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Limits how many permits are held at the same time.
pub(crate) struct Semaphore {
    count: Mutex<Count>,
    empty: Condvar,
    capacity: usize,
    /// Permits that only one sharer can acquire, for each of them.
    reserved: usize,
}

struct Count {
    /// The permits that each sharer holds.
    held: Vec<usize>,
    /// Whether a thread waits for the last permit; without one, notifying would be a needless system call.
    has_waiter: bool,
}

/// One unit of a [`Semaphore`], released when dropped.
pub(crate) struct Permit {
    semaphore: Arc<Semaphore>,
    sharer: usize,
}

impl Semaphore {
    pub(crate) fn new(capacity: usize) -> Arc<Semaphore> {
        Semaphore::shared(capacity, 1)
    }

    /// A semaphore for sharers with numbers below `sharers`, of whom none can acquire all permits: half of them are
    /// reserved in equal shares, the other half is free for all.
    pub(crate) fn shared(capacity: usize, sharers: usize) -> Arc<Semaphore> {
        let count = Mutex::new(Count { held: vec![0; sharers], has_waiter: false });
        let reserved = capacity / 2 / sharers.max(1);
        Arc::new(Semaphore { count, empty: Condvar::new(), capacity, reserved })
    }

    /// Acquires a permit, or returns `None` if all are held.
    pub(crate) fn try_acquire(self: &Arc<Semaphore>) -> Option<Permit> {
        self.try_acquire_for(0)
    }

    /// Acquires a permit for `sharer`, or returns `None` if all that are left are reserved for the others.
    pub(crate) fn try_acquire_for(self: &Arc<Semaphore>, sharer: usize) -> Option<Permit> {
        let mut count = self.count();
        let committed = |(other, held): (usize, &usize)| {
            if other == sharer { *held } else { self.reserved.max(*held) }
        };
        if count.held.iter().enumerate().map(committed).sum::<usize>() >= self.capacity {
            return None;
        }
        *count.held.get_mut(sharer)? += 1;
        Some(Permit { semaphore: Arc::clone(self), sharer })
    }

    /// How many permits `sharer` holds.
    pub(crate) fn held_by(&self, sharer: usize) -> usize {
        self.count().held.get(sharer).copied().unwrap_or(0)
    }

    /// True if `sharer` holds more than its reserved share, so that others can acquire what it releases.
    pub(crate) fn exceeds_reserve(&self, sharer: usize) -> bool {
        self.held_by(sharer) > self.reserved
    }

    /// Waits until no permit is held or `deadline` has passed, and returns how many are still held.
    pub(crate) fn wait_idle(&self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut count = self.count();
        count.has_waiter = true;
        let (count, _) = self
            .empty
            .wait_timeout_while(count, left, |count| count.total() > 0)
            .unwrap_or_else(PoisonError::into_inner);
        count.total()
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn total(&self) -> usize {
        self.held.iter().sum()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut count = self.semaphore.count();
        if let Some(held) = count.held.get_mut(self.sharer) {
            *held -= 1;
        }
        if count.has_waiter && count.total() == 0 {
            self.semaphore.empty.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Permit, Semaphore};

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

    fn all(semaphore: &Arc<Semaphore>, sharer: usize) -> Vec<Permit> {
        std::iter::from_fn(|| semaphore.try_acquire_for(sharer)).collect()
    }

    #[test]
    fn a_sharer_cannot_take_the_reserved_share_of_another() {
        let semaphore = Semaphore::shared(60, 3);
        let first = all(&semaphore, 0);
        assert_eq!(first.len(), 40);
        let second = all(&semaphore, 1);
        assert_eq!(second.len(), 10);
        assert!(semaphore.exceeds_reserve(0) && !semaphore.exceeds_reserve(1));
        drop(first);
        assert_eq!(all(&semaphore, 1).len(), 30);
        assert_eq!(all(&semaphore, 2).len(), 40);
        assert_eq!(semaphore.held_by(1), second.len());
    }

    #[test]
    fn a_single_sharer_has_all_permits() {
        let semaphore = Semaphore::shared(16, 1);
        assert_eq!(all(&semaphore, 0).len(), 16);
        assert!(semaphore.try_acquire_for(1).is_none());
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
