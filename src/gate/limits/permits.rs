//! Limits on concurrent requests, by class, so that a flood of one class leaves the others their permits.
//!
//! Each service has a reserved share of the permits for upstream requests, so that a service that hangs affects only
//! its own clients; the other permits are shared by all services.

use std::sync::Arc;
use std::time::Instant;

use crate::gate::limits;
use crate::gate::request::router::Route;
use crate::http::body::Length;
pub(crate) use crate::util::semaphore::Permit;
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

/// The limits of all classes.
pub(crate) struct RequestLimits {
    upstream: Arc<Semaphore>,
    management: Arc<Semaphore>,
    management_large: Arc<Semaphore>,
}

impl RequestLimits {
    /// Limits for services with numbers below `services`.
    pub(crate) fn new(services: usize) -> RequestLimits {
        RequestLimits {
            upstream: Semaphore::shared(limits::exchanges(), services),
            management: Semaphore::new(limits::management_exchanges()),
            management_large: Semaphore::new(limits::large_management_exchanges()),
        }
    }

    /// A permit for a request of `class`, if there is one.
    pub(crate) fn take(&self, class: Class) -> Option<Permit> {
        match class {
            Class::Upstream(number) => self.upstream.try_acquire_for(number),
            Class::Management => self.management.try_acquire(),
            Class::ManagementLarge => self.management_large.try_acquire(),
        }
    }

    /// True if a request of class `to` can use the permit that a request of class `from` releases.
    pub(crate) fn makes_room(&self, from: Class, to: Class) -> bool {
        match (from, to) {
            (Class::Upstream(from), Class::Upstream(to)) => {
                from == to || self.upstream.exceeds_reserve(from)
            }
            (from, to) => from == to,
        }
    }

    /// How many requests to service `number` are in progress.
    pub(crate) fn in_flight(&self, number: usize) -> usize {
        self.upstream.held_by(number)
    }

    /// Waits until no request is in progress or `deadline` has passed, and returns how many are left.
    pub(crate) fn wait_idle(&self, deadline: Instant) -> usize {
        let all = [&self.upstream, &self.management, &self.management_large];
        all.iter().map(|semaphore| semaphore.wait_idle(deadline)).sum()
    }
}
