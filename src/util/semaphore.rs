//! How many of something there are at the moment, and that there are not too many.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Counts places that are taken.
pub(crate) struct Semaphore {
    count: Mutex<Count>,
    empty: Condvar,
    ceiling: usize,
}

#[derive(Default)]
struct Count {
    taken: usize,
    /// Somebody waits for the last to leave; telling nobody would be a system call for nothing.
    awaited: bool,
}

/// One of them; given back when dropped.
pub(crate) struct Permit(Arc<Semaphore>);

impl Semaphore {
    pub(crate) fn new(ceiling: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore { count: Mutex::default(), empty: Condvar::new(), ceiling })
    }

    /// A place, if there is one.
    pub(crate) fn take(self: &Arc<Semaphore>) -> Option<Permit> {
        let mut count = self.count();
        if count.taken >= self.ceiling {
            return None;
        }
        count.taken += 1;
        Some(Permit(Arc::clone(self)))
    }

    /// Waits until all places are free or `deadline` has passed, and says how many are not.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut count = self.count();
        count.awaited = true;
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
        if count.taken == 0 && count.awaited {
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
        let tally = Semaphore::new(2);
        let (first, second) = (tally.take().unwrap(), tally.take().unwrap());
        assert!(tally.take().is_none());
        drop(first);
        let _third = tally.take().unwrap();
        assert_eq!(tally.wait_until_empty(Instant::now()), 2);
        drop(second);
        assert_eq!(tally.wait_until_empty(Instant::now()), 1);
    }

    #[test]
    fn who_waits_hears_when_the_last_has_gone() {
        let tally = Semaphore::new(1);
        let place = tally.take().unwrap();
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| tally.wait_until_empty(Instant::now() + Duration::from_secs(20)));
            drop(place);
            assert_eq!(waiting.join().unwrap(), 0);
        });
    }
}
