//! The queue of passwords to be hashed: one at a time, first those from addresses without recent wrong passwords.
//!
//! An attacker who guesses from many addresses must not lock out a client that knows the password.

use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::gate::limits;

/// The queue of requests whose password must be hashed.
#[derive(Default)]
pub(crate) struct HashQueue {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The right to hash a password; released when dropped.
pub(crate) struct HashPermit<'a>(&'a HashQueue);

#[derive(Default)]
struct Queue {
    hashing: bool,
    waiting: Vec<Waiter>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Waiter {
    digest: [u8; 32],
    source: IpAddr,
    /// The source has sent no wrong password lately.
    clean: bool,
}

impl HashQueue {
    /// Waits for the permit to hash the credentials of `digest`; `None` if the queue is full.
    pub(crate) fn wait(
        &self,
        digest: [u8; 32],
        source: IpAddr,
        clean: bool,
    ) -> Option<HashPermit<'_>> {
        let mut queue = self.queue();
        let own = Waiter { digest, source, clean };
        if !queue.has_room(&own) {
            return None;
        }
        queue.waiting.push(own);
        let not_yet = |queue: &mut Queue| {
            queue.hashing || (!clean && queue.waiting.iter().any(|other| other.clean))
        };
        let mut queue =
            self.changed.wait_while(queue, not_yet).unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = queue.waiting.iter().position(|one| *one == own) {
            queue.waiting.swap_remove(index);
        }
        queue.hashing = true;
        Some(HashPermit(self))
    }

    /// True if the queue has room for these credentials.
    pub(crate) fn has_room(&self, digest: [u8; 32], source: IpAddr, clean: bool) -> bool {
        self.queue().has_room(&Waiter { digest, source, clean })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn has_room(&self, own: &Waiter) -> bool {
        let count = |fits: &dyn Fn(&&Waiter) -> bool| self.waiting.iter().filter(fits).count();
        if count(&|other| other.digest == own.digest) > 0 {
            // One hash decides them all.
            return self.waiting.len() < limits::HASH_QUEUE_TOTAL;
        }
        count(&|other| other.clean == own.clean) < limits::HASH_QUEUE
            && count(&|other| other.source == own.source) < limits::HASH_QUEUE_PER_ADDRESS
    }
}

impl Drop for HashPermit<'_> {
    fn drop(&mut self) {
        self.0.queue().hashing = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::IpAddr;
    use std::sync::mpsc;
    use std::thread;

    use super::{HashQueue, limits};

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Waits until `count` requests wait.
    fn wait_for_waiters(queue: &HashQueue, count: usize) {
        while queue.queue().waiting.len() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn an_address_without_wrong_passwords_comes_before_many_with_some() {
        let queue = HashQueue::default();
        let (order, served) = mpsc::channel();
        thread::scope(|scope| {
            let first = queue.wait([0; 32], address(0), false).unwrap();
            let ask = |number: u8, clean: bool| {
                let (queue, order) = (&queue, order.clone());
                scope.spawn(move || {
                    let permit = queue.wait([number; 32], address(number), clean);
                    order.send((number, permit.is_some())).unwrap();
                });
            };
            for guesser in 1..=16 {
                ask(guesser, false);
            }
            wait_for_waiters(&queue, limits::HASH_QUEUE);
            assert!(!queue.has_room([17; 32], address(17), false));
            assert!(queue.has_room([17; 32], address(17), true));
            ask(17, false);
            assert_eq!(served.recv().unwrap(), (17, false), "the queue is full");
            ask(18, true);
            wait_for_waiters(&queue, limits::HASH_QUEUE + 1);
            drop(first);
            assert_eq!(served.recv().unwrap(), (18, true));
        });
    }

    #[test]
    fn one_address_cannot_fill_the_queue_and_equal_credentials_share_one_hash() {
        let queue = HashQueue::default();
        thread::scope(|scope| {
            let first = queue.wait([0; 32], address(0), true).unwrap();
            for number in 1..=4 {
                let queue = &queue;
                scope.spawn(move || queue.wait([number; 32], address(1), true).is_some());
            }
            wait_for_waiters(&queue, limits::HASH_QUEUE_PER_ADDRESS);
            assert!(queue.wait([9; 32], address(1), true).is_none());
            for _ in 0..20 {
                scope.spawn(|| queue.wait([1; 32], address(1), true).is_some());
            }
            wait_for_waiters(&queue, limits::HASH_QUEUE_PER_ADDRESS + 20);
            drop(first);
        });
    }
}
