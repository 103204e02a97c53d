//! A value that is published whole and read by snapshot.

use std::sync::{Arc, PoisonError, RwLock};

/// A value that is replaced whole and read by snapshot.
///
/// The lock is held only while a pointer is copied, never during I/O.
#[derive(Debug)]
pub(crate) struct Published<T>(RwLock<Arc<T>>);

impl<T> Published<T> {
    /// Starts with `value`.
    pub(crate) fn new(value: T) -> Published<T> {
        Published(RwLock::new(Arc::new(value)))
    }

    /// The current value; later changes don't affect the snapshot.
    pub(crate) fn snapshot(&self) -> Arc<T> {
        // A panicking writer can't leave half a pointer behind, so poisoning is ignored.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the value for every snapshot taken from now on.
    pub(crate) fn publish(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}
