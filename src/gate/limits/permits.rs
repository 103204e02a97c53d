//! Limits on concurrent requests, by class, so that a flood of one class leaves the others their permits.
//!
//! Each service has a reserved share of the permits for upstream requests, so that a service that hangs affects only
//! its own clients; the other permits are shared by all services.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::gate::limits;
use crate::gate::request::router::Route;
use crate::http::body::Length;
use crate::util::semaphore;
use crate::util::semaphore::Semaphore;

/// The class of a request, which decides the limit that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The service of this number responds.
    Upstream(usize),
    /// This process responds.
    Management,
    /// This process responds, and the body is large or of unknown length.
    ManagementLarge,
}

impl Class {
    pub(crate) fn of(route: &Route, length: Length) -> Class {
        match (&route.upstream, length) {
            (Some(upstream), _) => Class::Upstream(upstream.number),
            (None, Length::Exact(bytes)) if bytes <= limits::MANAGEMENT_BUFFER_BYTES as u64 => {
                Class::Management
            }
            (None, _) => Class::ManagementLarge,
        }
    }
}

/// The right to process one request; released when dropped.
pub(crate) struct Permit {
    /// Released first.
    _share: Option<Share>,
    _permit: semaphore::Permit,
}

/// A semaphore whose permits are divided so that no sharer can take all of them.
pub(crate) struct FairSemaphore {
    all: Arc<Semaphore>,
    shares: Arc<Shares>,
}

impl FairSemaphore {
    /// A semaphore of `ceiling` permits, for sharers with numbers below `sharers`.
    pub(crate) fn new(ceiling: usize, sharers: usize) -> FairSemaphore {
        FairSemaphore { all: Semaphore::new(ceiling), shares: Shares::new(ceiling, sharers) }
    }

    /// A permit for sharer `number`, if there is one.
    pub(crate) fn take(&self, number: usize) -> Option<Permit> {
        let share = self.shares.take(number)?;
        Some(Permit { _permit: self.all.try_acquire()?, _share: Some(share) })
    }

    /// See [`Semaphore::wait_idle`].
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> usize {
        self.all.wait_idle(deadline)
    }
}

/// The limits of all classes.
pub(crate) struct RequestLimits {
    upstream: FairSemaphore,
    management: Arc<Semaphore>,
    management_large: Arc<Semaphore>,
}

impl RequestLimits {
    /// Limits for services with numbers below `services`.
    pub(crate) fn new(services: usize) -> RequestLimits {
        RequestLimits {
            upstream: FairSemaphore::new(limits::exchanges(), services),
            management: Semaphore::new(limits::management_exchanges()),
            management_large: Semaphore::new(limits::large_management_exchanges()),
        }
    }

    /// A permit for a request of `class`, if there is one.
    pub(crate) fn take(&self, class: Class) -> Option<Permit> {
        let semaphore = match class {
            Class::Upstream(number) => return self.upstream.take(number),
            Class::Management => &self.management,
            Class::ManagementLarge => &self.management_large,
        };
        Some(Permit { _permit: semaphore.try_acquire()?, _share: None })
    }

    /// True if a request of class `to` can use the permit that a request of class `from` releases.
    pub(crate) fn makes_room(&self, from: Class, to: Class) -> bool {
        match (from, to) {
            (Class::Upstream(from), Class::Upstream(to)) => {
                from == to || self.upstream.shares.exceeds_reserve(from)
            }
            (from, to) => from == to,
        }
    }

    /// How many requests to service `number` are in progress.
    pub(crate) fn in_flight(&self, number: usize) -> usize {
        self.upstream.shares.held().get(number).copied().unwrap_or(0)
    }

    /// Waits until no request is in progress or `deadline` has passed, and returns how many are left.
    pub(crate) fn wait_until_empty(&self, deadline: Instant) -> usize {
        let local = [&self.management, &self.management_large];
        let local: usize = local.iter().map(|semaphore| semaphore.wait_idle(deadline)).sum();
        local + self.upstream.wait_until_empty(deadline)
    }
}

/// Half of the permits are reserved in equal shares, the other half is free for all.
struct Shares {
    ceiling: usize,
    /// Permits reserved for each sharer.
    reserved: usize,
    held: Mutex<Vec<usize>>,
}

struct Share {
    shares: Arc<Shares>,
    number: usize,
}

impl Shares {
    fn new(ceiling: usize, sharers: usize) -> Arc<Shares> {
        let reserved = ceiling / 2 / sharers.max(1);
        Arc::new(Shares { ceiling, reserved, held: Mutex::new(vec![0; sharers]) })
    }

    /// One share for `number`, unless all that are left are reserved for the others.
    fn take(self: &Arc<Shares>, number: usize) -> Option<Share> {
        let mut held = self.held();
        let committed = |(other, held): (usize, &usize)| {
            if other == number { *held } else { self.reserved.max(*held) }
        };
        let bound: usize = held.iter().enumerate().map(committed).sum();
        if bound >= self.ceiling {
            return None;
        }
        *held.get_mut(number)? += 1;
        Some(Share { shares: Arc::clone(self), number })
    }

    /// True if `number` holds more than its reserved share.
    fn exceeds_reserve(&self, number: usize) -> bool {
        self.held().get(number).is_some_and(|held| *held > self.reserved)
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
    fn a_service_cannot_take_the_reserved_share_of_another() {
        let shares = Shares::new(60, 3);
        let first = all(&shares, 0);
        assert_eq!(first.len(), 40);
        let second = all(&shares, 1);
        assert_eq!(second.len(), 10);
        assert!(shares.exceeds_reserve(0) && !shares.exceeds_reserve(1));
        drop(first);
        assert_eq!(all(&shares, 1).len(), 30);
        assert_eq!(all(&shares, 2).len(), 40);
        assert_eq!(second.len(), 10);
    }

    #[test]
    fn a_single_service_has_all_permits() {
        let shares = Shares::new(16, 1);
        assert_eq!(all(&shares, 0).len(), 16);
        assert!(shares.take(1).is_none());
    }
}
