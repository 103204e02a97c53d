//! How many of something there are at the moment, and that there are not too many.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Counts places that are taken.
pub(crate) struct Tally {
    taken: Mutex<usize>,
    one_left: Condvar,
    ceiling: usize,
}

/// One of them; given back when dropped.
pub(crate) struct Place(Arc<Tally>);

impl Tally {
    pub(crate) fn new(ceiling: usize) -> Arc<Tally> {
        Arc::new(Tally { taken: Mutex::new(0), one_left: Condvar::new(), ceiling })
    }

    /// A place, if there is one.
    pub(crate) fn take(self: &Arc<Tally>) -> Option<Place> {
        let mut taken = self.count();
        if *taken >= self.ceiling {
            return None;
        }
        *taken += 1;
        Some(Place(Arc::clone(self)))
    }

    /// Waits until all places are free or `deadline` has passed, and says how many are not.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let (taken, _) = self
            .one_left
            .wait_timeout_while(self.count(), left, |taken| *taken > 0)
            .unwrap_or_else(PoisonError::into_inner);
        *taken
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.count();
        *taken -= 1;
        if *taken == 0 {
            self.0.one_left.notify_all();
        }
    }
}
