//! The last lines, kept in memory for clients that can't read standard error.
//!
//! Requests have a buffer of their own, so that a client that sends a request every second does not push
//! out what an operator looks for.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Most lines of one kind.
const MAX_LINES: usize = 500;

/// Most bytes of one kind, as they are allocated.
const MAX_BYTES: usize = 128 * 1024;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Operations, errors and security events.
    Operation,
    /// Requests, and connections that failed before one.
    Access,
}

#[derive(Debug, Default)]
pub(super) struct Recent {
    operations: Mutex<Ring>,
    requests: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&self, kind: Kind, line: String) {
        self.ring(kind).lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The last `count` lines of a kind that match `wanted`, the oldest first.
    pub(super) fn last(
        &self,
        kind: Kind,
        count: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let ring = self.ring(kind).lock().unwrap_or_else(PoisonError::into_inner);
        let newest_first = ring.lines.iter().rev().filter(|line| wanted(line)).take(count);
        let mut lines: Vec<String> = newest_first.cloned().collect();
        lines.reverse();
        lines
    }

    fn ring(&self, kind: Kind) -> &Mutex<Ring> {
        match kind {
            Kind::Operation => &self.operations,
            Kind::Access => &self.requests,
        }
    }
}

impl Ring {
    fn push(&mut self, line: String) {
        self.bytes += line.capacity();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.capacity();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, MAX_BYTES, MAX_LINES, Recent};

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let recent = Recent::default();
        for number in 0..MAX_LINES + 7 {
            recent.push(Kind::Operation, number.to_string());
        }
        let all = recent.last(Kind::Operation, usize::MAX, |_| true);
        assert_eq!((all.len(), all[0].as_str()), (MAX_LINES, "7"));
        let few = recent.last(Kind::Operation, 2, |line| line.ends_with('1'));
        assert_eq!(few, ["491", "501"]);
        assert!(recent.last(Kind::Access, 9, |_| true).is_empty());
    }

    #[test]
    fn long_lines_take_no_more_room_than_short_ones() {
        let recent = Recent::default();
        for _ in 0..MAX_LINES {
            recent.push(Kind::Access, "x".repeat(2_000));
        }
        assert_eq!(recent.last(Kind::Access, usize::MAX, |_| true).len(), MAX_BYTES / 2_000);
    }
}
