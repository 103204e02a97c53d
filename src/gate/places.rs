//! Places for requests on their way, of three kinds, so that a flood of one kind leaves the others theirs.

use std::sync::Arc;
use std::time::Instant;

use super::framing::Length;
use super::limits;
use super::policy::Area;
use crate::tally::{Place, Tally};

/// What a request needs a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A service answers it.
    Service,
    /// We answer it ourselves…
    Own,
    /// …and it has a large body, or one of which nobody knows how large it is.
    OwnLarge,
}

impl Kind {
    pub(super) fn of(area: Area, length: Length) -> Kind {
        match length {
            _ if !area.is_own() => Kind::Service,
            Length::Exact(bytes) if bytes <= limits::GATHERED_BYTES as u64 => Kind::Own,
            _ => Kind::OwnLarge,
        }
    }
}

/// All of them.
pub(super) struct Places {
    service: Arc<Tally>,
    own: Arc<Tally>,
    own_large: Arc<Tally>,
}

impl Places {
    pub(super) fn new() -> Places {
        Places {
            service: Tally::new(limits::exchanges()),
            own: Tally::new(limits::own_exchanges()),
            own_large: Tally::new(limits::large_own_exchanges()),
        }
    }

    /// A place, if there is one.
    pub(super) fn take(&self, kind: Kind) -> Option<Place> {
        let tally = match kind {
            Kind::Service => &self.service,
            Kind::Own => &self.own,
            Kind::OwnLarge => &self.own_large,
        };
        tally.take()
    }

    /// Waits until all are free or `deadline` has passed, and says how many are not.
    pub(super) fn wait_until_empty(&self, deadline: Instant) -> usize {
        let all = [&self.service, &self.own, &self.own_large];
        all.iter().map(|tally| tally.wait_until_empty(deadline)).sum()
    }
}
