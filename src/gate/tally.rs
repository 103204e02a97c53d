//! How many of something there are at the moment, and that there are not too many.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Counts places that are taken.
pub(crate) struct Tally {
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
pub(crate) struct Place(Arc<Tally>);

impl Tally {
    pub(crate) fn new(ceiling: usize) -> Arc<Tally> {
        Arc::new(Tally { count: Mutex::default(), empty: Condvar::new(), ceiling })
    }

    /// A place, if there is one.
    pub(crate) fn take(self: &Arc<Tally>) -> Option<Place> {
        let mut count = self.count();
        if count.taken >= self.ceiling {
            return None;
        }
        count.taken += 1;
        Some(Place(Arc::clone(self)))
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

impl Drop for Place {
    fn drop(&mut self) {
        let mut count = self.0.count();
        count.taken -= 1;
        if count.taken == 0 && count.awaited {
            self.0.empty.notify_all();
        }
    }
}
