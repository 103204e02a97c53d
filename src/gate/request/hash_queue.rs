//! Whose password is hashed next: one at a time, those first who have not guessed wrong lately.
//!
//! Whoever guesses from many addresses must not keep out somebody who knows the password.

use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::gate::limits;

/// The queue before the hash.
#[derive(Default)]
pub(crate) struct HashQueue {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The right to hash; it ends when dropped.
pub(crate) struct HashPermit<'a>(&'a HashQueue);

#[derive(Default)]
struct Queue {
    hashing: bool,
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Waiting {
    digest: [u8; 32],
    source: IpAddr,
    /// No wrong guess has come from there lately.
    clean: bool,
}

impl HashQueue {
    /// Waits for a turn with the credentials of `digest`; `None` if too many wait already.
    pub(crate) fn wait(
        &self,
        digest: [u8; 32],
        source: IpAddr,
        clean: bool,
    ) -> Option<HashPermit<'_>> {
        let mut queue = self.queue();
        let own = Waiting { digest, source, clean };
        if !queue.has_room(&own) {
            return None;
        }
        queue.waiting.push(own);
        let not_yet = |queue: &mut Queue| {
            queue.hashing || (!clean && queue.waiting.iter().any(|other| other.clean))
        };
        let mut queue =
            self.changed.wait_while(queue, not_yet).unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = queue.waiting.iter().position(|one| *one == own) {
            queue.waiting.swap_remove(place);
        }
        queue.hashing = true;
        Some(HashPermit(self))
    }

    /// True if somebody with these credentials could wait now.
    pub(crate) fn has_room(&self, digest: [u8; 32], source: IpAddr, clean: bool) -> bool {
        self.queue().has_room(&Waiting { digest, source, clean })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn has_room(&self, own: &Waiting) -> bool {
        let count = |fits: &dyn Fn(&&Waiting) -> bool| self.waiting.iter().filter(fits).count();
        if count(&|other| other.digest == own.digest) > 0 {
            // One hash will answer them all.
            return self.waiting.len() < limits::SAME_HASHES_WAITING;
        }
        count(&|other| other.clean == own.clean) < limits::HASHES_WAITING
            && count(&|other| other.source == own.source) < limits::HASHES_WAITING_OF_ONE
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

    /// Waits until `count` wait.
    fn crowd(turns: &HashQueue, count: usize) {
        while turns.queue().waiting.len() < count {
            thread::yield_now();
        }
    }

    #[test]
    fn who_has_not_guessed_wrong_comes_before_a_crowd_that_has() {
        let turns = HashQueue::default();
        let (order, served) = mpsc::channel();
        thread::scope(|scope| {
            let first = turns.wait([0; 32], address(0), false).unwrap();
            let ask = |number: u8, clean: bool| {
                let (turns, order) = (&turns, order.clone());
                scope.spawn(move || {
                    let turn = turns.wait([number; 32], address(number), clean);
                    order.send((number, turn.is_some())).unwrap();
                });
            };
            for guesser in 1..=16 {
                ask(guesser, false);
            }
            crowd(&turns, limits::HASHES_WAITING);
            assert!(!turns.has_room([17; 32], address(17), false));
            assert!(turns.has_room([17; 32], address(17), true));
            ask(17, false);
            assert_eq!(served.recv().unwrap(), (17, false), "the crowd has its limit");
            ask(18, true);
            crowd(&turns, limits::HASHES_WAITING + 1);
            drop(first);
            assert_eq!(served.recv().unwrap(), (18, true));
        });
    }

    #[test]
    fn one_address_does_not_fill_the_queue_and_one_hash_answers_many_alike() {
        let turns = HashQueue::default();
        thread::scope(|scope| {
            let first = turns.wait([0; 32], address(0), true).unwrap();
            for number in 1..=4 {
                let turns = &turns;
                scope.spawn(move || turns.wait([number; 32], address(1), true).is_some());
            }
            crowd(&turns, limits::HASHES_WAITING_OF_ONE);
            assert!(turns.wait([9; 32], address(1), true).is_none());
            for _ in 0..20 {
                scope.spawn(|| turns.wait([1; 32], address(1), true).is_some());
            }
            crowd(&turns, limits::HASHES_WAITING_OF_ONE + 20);
            drop(first);
        });
    }
}
