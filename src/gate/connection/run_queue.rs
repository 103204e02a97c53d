//! A queue of connections that wait for their turn.

use std::collections::{HashSet, VecDeque};

/// A queue of tokens in which each token occurs once.
#[derive(Default)]
pub(crate) struct RunQueue {
    order: VecDeque<u64>,
    /// The tokens in `order`, because a connection with many events would be queued many times.
    members: HashSet<u64>,
}

impl RunQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn push(&mut self, token: u64) {
        if self.members.insert(token) {
            self.order.push_back(token);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<u64> {
        let token = self.order.pop_front()?;
        self.members.remove(&token);
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::RunQueue;

    #[test]
    fn a_token_is_queued_once_and_can_be_queued_again_after_it_was_taken() {
        let mut queue = RunQueue::default();
        for token in [1, 2, 1, 1, 2] {
            queue.push(token);
        }
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(1), Some(2), None));
        queue.push(1);
        assert_eq!((queue.pop(), queue.is_empty()), (Some(1), true));
    }
}
