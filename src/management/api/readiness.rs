//! What has been found lately about the services, for all who ask: monitoring systems and load balancers ask often,
//! and the latter without a password.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::health;
use crate::config::{Config, Service};
use crate::diagnosis::services;

/// For how long a finding is used: a service is asked once in this time, however many ask us.
const FRESH: Duration = Duration::from_secs(1);

/// Looks, and remembers what it has found.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    last: Mutex<Option<(Instant, Finding)>>,
    /// Held by who looks; others wait for the same finding.
    looking: Mutex<()>,
    draining: AtomicBool,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finding {
    /// Whether each service of the settings takes connections, in their order.
    running: Vec<bool>,
    /// The state folder can be written, so seconds can be reserved.
    can_store: bool,
}

impl Finding {
    pub(crate) fn is_running(&self, service: usize) -> bool {
        self.running.get(service).is_some_and(|running| *running)
    }

    /// True if new work can be done: a service that a listener serves takes connections, and if it needs a license,
    /// that is valid and seconds can be reserved. True if no listener serves any.
    pub(crate) fn is_ready(&self, config: &Config, may_transcribe: bool) -> bool {
        let mut served =
            config.services.iter().enumerate().filter(|(_, one)| health::is_served(config, one));
        let is_usable = |(index, service): (usize, &Service)| {
            let entitled = !health::needs_license(service) || (may_transcribe && self.can_store);
            self.is_running(index) && entitled
        };
        served.clone().next().is_none() || served.any(is_usable)
    }
}

impl Readiness {
    /// True if [`Readiness::last`] is fresh.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh().is_some()
    }

    /// The last finding, however old; nothing runs if nobody has looked.
    pub(crate) fn last(&self) -> Finding {
        self.known().map(|(_, finding)| finding).unwrap_or_default()
    }

    /// A fresh finding. Looking takes a quarter of a second at most.
    pub(crate) fn look(&self, config: &Config) -> Finding {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(finding) = self.fresh() {
            return finding;
        }
        let all: Vec<&Service> = config.services.iter().collect();
        let running = services::accepting(&all);
        let finding = Finding {
            running: (0..all.len()).map(|index| running.contains(&index)).collect(),
            can_store: health::storage(config).is_none(),
        };
        let found = Some((Instant::now(), finding.clone()));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = found;
        finding
    }

    /// From now on the appliance is not ready, because it stops.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn fresh(&self) -> Option<Finding> {
        self.known().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, finding)| finding)
    }

    fn known(&self) -> Option<(Instant, Finding)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Finding;
    use crate::config::Config;

    fn is_ready(settings: &str, running: &[&str], can_store: bool, may_transcribe: bool) -> bool {
        let config = Config::parse(settings.as_bytes()).unwrap();
        let runs = config.services.iter().map(|one| running.contains(&one.name.as_str()));
        Finding { running: runs.collect(), can_store }.is_ready(&config, may_transcribe)
    }

    #[test]
    fn it_is_ready_while_one_service_can_be_used() {
        let own = r#"{"services": {"x": {"address": "127.0.0.1:1", "paths": ["/x/"]},
            "y": {"address": "127.0.0.1:2", "paths": ["/y/"], "licensed": ["POST"]}}}"#;
        let batch = r#"{"listen": [{"address": "[::]:8082", "serves": "speech"}]}"#;
        let none = r#"{"listen": [{"address": "[::]:8080", "serves": "management"}]}"#;
        for (settings, running, can_store, may_transcribe, wanted) in [
            ("{}", &["realtime", "speech"][..], true, true, true),
            ("{}", &["speech"], true, true, true),
            ("{}", &[], true, true, false),
            ("{}", &["realtime", "speech"], true, false, false),
            ("{}", &["realtime", "speech"], false, true, false),
            (own, &["x"], false, false, true),
            (own, &["y"], true, false, false),
            (own, &["y"], true, true, true),
            (batch, &["realtime"], true, true, false),
            (none, &[], false, false, true),
        ] {
            let found = is_ready(settings, running, can_store, may_transcribe);
            assert_eq!(found, wanted, "{settings} {running:?} {can_store} {may_transcribe}");
        }
    }
}
