//! RequestLimits for requests on their way, of three kinds, so that a flood of one kind leaves the others theirs.
//!
//! Of those for services each service has some for itself, so that one that hangs costs its own clients
//! alone; the others are for whoever comes first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::gate::limits;
use crate::gate::request::router::Route;
use crate::http::body::Length;
use crate::util::semaphore;
use crate::util::semaphore::Semaphore;

/// What a request needs a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service of this number answers it.
    Service(usize),
    /// We answer it ourselves…
    Own,
    /// …and it has a large body, or one of which nobody knows how large it is.
    OwnLarge,
}

impl Kind {
    pub(crate) fn of(route: &Route, length: Length) -> Kind {
        match length {
            _ if !route.area.is_own() => Kind::Service(route.service.number),
            Length::Exact(bytes) if bytes <= limits::GATHERED_BYTES as u64 => Kind::Own,
            _ => Kind::OwnLarge,
        }
    }
}

/// One of them; given back when dropped.
pub(crate) struct Permit {
    /// Given back first.
    _share: Option<Share>,
    _place: semaphore::Permit,
}

/// RequestLimits that several share, so that none can have all.
pub(crate) struct FairSemaphore {
    all: Arc<Semaphore>,
    shares: Arc<Shares>,
}

impl FairSemaphore {
    /// So many places, for those with numbers below `sharers`.
    pub(crate) fn new(ceiling: usize, sharers: usize) -> FairSemaphore {
        FairSemaphore { all: Semaphore::new(ceiling), shares: Shares::new(ceiling, sharers) }
    }

    /// A place for that one, if there is one.
    pub(crate) fn take(&self, number: usize) -> Option<Permit> {
        let share = self.shares.take(number)?;
        Some(Permit { _place: self.all.try_acquire()?, _share: Some(share) })
    }

    /// See [`Semaphore::wait_idle`].
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> usize {
        self.all.wait_idle(deadline)
    }
}

/// All of them.
pub(crate) struct RequestLimits {
    service: FairSemaphore,
    own: Arc<Semaphore>,
    own_large: Arc<Semaphore>,
}

impl RequestLimits {
    /// For services with numbers below `services`.
    pub(crate) fn new(services: usize) -> RequestLimits {
        RequestLimits {
            service: FairSemaphore::new(limits::exchanges(), services),
            own: Semaphore::new(limits::own_exchanges()),
            own_large: Semaphore::new(limits::large_own_exchanges()),
        }
    }

    /// A place, if there is one.
    pub(crate) fn take(&self, kind: Kind) -> Option<Permit> {
        let tally = match kind {
            Kind::Service(number) => return self.service.take(number),
            Kind::Own => &self.own,
            Kind::OwnLarge => &self.own_large,
        };
        Some(Permit { _place: tally.try_acquire()?, _share: None })
    }

    /// True if giving back a place of one kind makes room for a request of another.
    pub(crate) fn makes_room(&self, from: Kind, to: Kind) -> bool {
        match (from, to) {
            (Kind::Service(from), Kind::Service(to)) => {
                from == to || self.service.shares.lends(from)
            }
            (from, to) => from == to,
        }
    }

    /// How many requests are on their way to a service.
    pub(crate) fn held(&self, number: usize) -> usize {
        self.service.shares.held().get(number).copied().unwrap_or(0)
    }

    /// Waits until all are free or `deadline` has passed, and says how many are not.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> usize {
        let own = [&self.own, &self.own_large];
        let own: usize = own.iter().map(|tally| tally.wait_idle(deadline)).sum();
        own + self.service.wait_until_empty(deadline)
    }
}

/// Of so many places half are shared out, the other half is anybody's.
struct Shares {
    ceiling: usize,
    /// Of each for itself.
    own: usize,
    held: Mutex<Vec<usize>>,
}

struct Share {
    shares: Arc<Shares>,
    number: usize,
}

impl Shares {
    fn new(ceiling: usize, sharers: usize) -> Arc<Shares> {
        let own = ceiling / 2 / sharers.max(1);
        Arc::new(Shares { ceiling, own, held: Mutex::new(vec![0; sharers]) })
    }

    /// One for `number`, unless the others may still need all that are left for themselves.
    fn take(self: &Arc<Shares>, number: usize) -> Option<Share> {
        let mut held = self.held();
        let owed = |(other, held): (usize, &usize)| {
            if other == number { *held } else { self.own.max(*held) }
        };
        let bound: usize = held.iter().enumerate().map(owed).sum();
        if bound >= self.ceiling {
            return None;
        }
        *held.get_mut(number)? += 1;
        Some(Share { shares: Arc::clone(self), number })
    }

    /// True if `number` holds more than it has for itself.
    fn lends(&self, number: usize) -> bool {
        self.held().get(number).is_some_and(|held| *held > self.own)
    }

    fn held(&self) -> MutexGuard<'_, Vec<usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(held) = self.shares.held().get_mut(self.number) {
            *held -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, Shares};
    use std::sync::Arc;

    fn all(shares: &Arc<Shares>, number: usize) -> Vec<Share> {
        std::iter::from_fn(|| shares.take(number)).collect()
    }

    #[test]
    fn services_that_take_all_they_can_leave_each_other_its_own() {
        let shares = Shares::new(60, 3);
        let first = all(&shares, 0);
        assert_eq!(first.len(), 40);
        let second = all(&shares, 1);
        assert_eq!(second.len(), 10);
        assert!(shares.lends(0) && !shares.lends(1));
        drop(first);
        assert_eq!(all(&shares, 1).len(), 30);
        assert_eq!(all(&shares, 2).len(), 40);
        assert_eq!(second.len(), 10);
    }

    #[test]
    fn the_only_service_there_is_has_all() {
        let shares = Shares::new(16, 1);
        assert_eq!(all(&shares, 0).len(), 16);
        assert!(shares.take(1).is_none());
    }
}
