//! Connections that wait for their client: no thread, no buffer, a deadline each.

use std::collections::HashMap;
use std::time::Instant;

use super::connection::Connection;

/// The waiting connections of one port, by the token that epoll reports.
#[derive(Default)]
pub(super) struct Parked {
    connections: HashMap<u64, Connection>,
    last: u64,
}

impl Parked {
    /// A token never given out before.
    pub(super) fn token(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn put(&mut self, token: u64, connection: Connection) {
        self.connections.insert(token, connection);
    }

    pub(super) fn take(&mut self, token: u64) -> Option<Connection> {
        self.connections.remove(&token)
    }

    pub(super) fn take_all(&mut self) -> Vec<Connection> {
        self.connections.drain().map(|(_, connection)| connection).collect()
    }

    /// Those whose time is up.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Connection> {
        self.connections.extract_if(|_, c| c.deadline <= now).map(|(_, c)| c).collect()
    }

    /// The `count` whose time would be up first, to make room.
    pub(super) fn take_oldest(&mut self, count: usize) -> Vec<Connection> {
        let mut by_deadline: Vec<(Instant, u64)> =
            self.connections.iter().map(|(token, c)| (c.deadline, *token)).collect();
        by_deadline.sort_unstable();
        by_deadline.iter().take(count).filter_map(|(_, token)| self.take(*token)).collect()
    }
}
