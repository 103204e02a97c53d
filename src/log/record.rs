//! What a record says: as text, and in fields where the log is JSON.

use std::fmt::{self, Display};
use std::net::IpAddr;

use super::MAX_LINE;
use super::json::Object;

/// A record of the log.
pub(crate) trait Record: Display {
    /// Writes its fields; all together with their names are shorter than [`MAX_LINE`] less 100 bytes.
    fn write_fields(&self, object: &mut Object);
}

/// Longest `message`, which leaves room for the other fields.
const LONGEST_MESSAGE: usize = MAX_LINE - 200;

/// A message, and the client that has caused what it tells.
pub(super) struct Event<T> {
    peer: Option<IpAddr>,
    /// The text begins with the client, because the message does not name it.
    is_prefixed: bool,
    message: T,
}

impl<T> Event<T> {
    /// A message that no client on the network has caused.
    pub(super) fn of(message: T) -> Event<T> {
        Event::by(None, message)
    }

    /// A message that names who has caused it.
    pub(super) fn by(peer: Option<IpAddr>, message: T) -> Event<T> {
        Event { peer, is_prefixed: false, message }
    }

    /// A message that is written after the client that has caused it.
    pub(super) fn after(peer: IpAddr, message: T) -> Event<T> {
        Event { peer: Some(peer), is_prefixed: true, message }
    }
}

impl<T: Display> Display for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = self.peer.filter(|_| self.is_prefixed) {
            write!(f, "{}: ", peer.to_canonical())?;
        }
        self.message.fmt(f)
    }
}

impl<T: Display> Record for Event<T> {
    fn write_fields(&self, object: &mut Object) {
        if let Some(peer) = self.peer {
            object.string("peer", peer.to_canonical(), 64);
        }
        object.string("message", &self.message, LONGEST_MESSAGE);
    }
}
