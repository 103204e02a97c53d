//! Whether a connection may be evicted, and since when.

use std::time::Instant;

use super::{Connection, State};
use crate::gate::limits;
use crate::gate::limits::eviction::{Candidate, Need};
use crate::gate::limits::permits::{Class, RequestLimits};
use crate::util::client_prefix::client_prefix;

impl Connection {
    /// The connection as a candidate for eviction, if that gives what is needed.
    pub(crate) fn candidate(&self, need: Need, permits: &RequestLimits) -> Option<Candidate> {
        let since = match need {
            Need::Connection => self.idle_since()?,
            Need::Permit(class) => {
                let (released, since) = self.slow_since()?;
                permits.makes_room(released, class).then_some(since)?
            }
        };
        Some(Candidate {
            is_half_closed: self.stream.is_read_closed(),
            prefix: client_prefix(self.client.address),
            is_ready: self.is_ready,
            since,
        })
    }

    /// Since when the client has been idle, if no request is in progress.
    fn idle_since(&self) -> Option<Instant> {
        let timeout = match &self.state {
            _ if self.has_request() => return None,
            State::ProxyHeader(_) => limits::PROXY_HEADER,
            State::Handshake => limits::HANDSHAKE,
            State::Head if self.head.is_empty() => limits::IDLE,
            State::Head => limits::HEAD,
            State::Responding(_) => limits::BODY_PROGRESS,
            State::RejectingWebSocket => limits::FIRST_DATA,
            _ => limits::LINGERING_TIMEOUT,
        };
        Some(self.last_progress.max(self.deadline.checked_sub(timeout)?))
    }

    /// The class of its permit and since when it is held, if the request waits only for a slow client, a WebSocket
    /// is silent, or the client seems to have disconnected.
    fn slow_since(&self) -> Option<(Class, Instant)> {
        match &self.state {
            State::Responding(response) => {
                let (class, _) = response.permit.as_ref()?;
                Some((*class, response.since))
            }
            State::Collecting(call) => {
                let since = call.request.record.since;
                Some((call.request.class(), since))
            }
            State::Proxying(proxy) => {
                Some((proxy.class(), proxy.slow_since(self.stream.is_read_closed())?))
            }
            State::Tunnel(tunnel) => {
                let moved = self.deadline.checked_sub(limits::TUNNEL_IDLE)?;
                let silent = moved.elapsed() >= limits::TUNNEL_SILENT;
                silent.then_some((tunnel.class(), moved))
            }
            _ => None,
        }
    }
}
