//! Who has let others go first, each once, in the order in which they came.

use std::collections::{HashSet, VecDeque};

/// A queue of tokens.
#[derive(Default)]
pub(crate) struct RunQueue {
    order: VecDeque<u64>,
    /// The same; a connection to which much happens would stand in it many times otherwise.
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
    fn everybody_stands_in_the_queue_once_and_may_come_again_after_that() {
        let mut later = RunQueue::default();
        for token in [1, 2, 1, 1, 2] {
            later.push(token);
        }
        assert_eq!((later.pop(), later.pop(), later.pop()), (Some(1), Some(2), None));
        later.push(1);
        assert_eq!((later.pop(), later.is_empty()), (Some(1), true));
    }
}
