//! Memory of short-lived vectors, kept by a thread for the next ones.
//!
//! Most messages come and go at once. An allocator that returns their memory to the kernel in between, as musl's
//! does, would cost two system calls for each.

use std::cell::RefCell;

/// How many vectors a thread keeps, and how large they may be.
const VECTORS: usize = 8;
const MOST: usize = 4 << 10;

/// The vectors of one kind that a thread keeps: at most eight, of at most 4 KiB each.
pub(crate) struct Spares<T>(RefCell<Vec<Vec<T>>>);

thread_local! {
    /// For the bytes of messages.
    pub(crate) static BYTES: Spares<u8> = const { Spares::new() };
}

impl<T> Spares<T> {
    pub(crate) const fn new() -> Spares<T> {
        Spares(RefCell::new(Vec::new()))
    }

    /// An empty vector, with the memory of an earlier one if there is any.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps the memory of `vector`, or frees it if it is large or if there are enough.
    pub(crate) fn recycle(&self, mut vector: Vec<T>) {
        vector.clear();
        let mut spares = self.0.borrow_mut();
        if spares.len() < VECTORS && Spares::fits(&vector) {
            spares.push(vector);
        }
    }

    /// True if the memory of `vector` is small enough to be kept.
    pub(crate) fn fits(vector: &Vec<T>) -> bool {
        (1..=MOST).contains(&(vector.capacity() * size_of::<T>()))
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Spares};

    #[test]
    fn the_memory_of_a_small_vector_is_used_again_and_that_of_a_large_one_is_not() {
        let spares = Spares::new();
        spares.recycle(vec![1_u8; MOST + 1]);
        assert_eq!(spares.take().capacity(), 0);
        let small = vec![1_u8; MOST];
        let address = small.as_ptr();
        spares.recycle(small);
        let again = spares.take();
        assert!(again.is_empty() && again.as_ptr() == address);
    }
}
