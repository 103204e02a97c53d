//! Whether the authority can answer appliances, for `/healthz`.
//!
//! Looking writes to the disk, and everybody may ask, so a finding is used for a few seconds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::authority::service::Service;
use crate::log::Log;

/// For how long a finding is used.
const FRESH: Duration = Duration::from_secs(5);

/// Looks, and remembers what it has found.
pub(crate) struct Health {
    last: Mutex<Option<(Instant, Vec<&'static str>)>>,
    log: Log,
}

impl Health {
    pub(crate) fn new(log: Log) -> Health {
        Health { last: Mutex::default(), log }
    }

    /// What keeps the authority from answering, one sentence each; `now` in seconds since 1970. A new fault
    /// goes to the log with its cause.
    pub(crate) fn faults(&self, service: &Service, now: i64) -> Vec<&'static str> {
        // Whoever asks meanwhile waits for the same finding.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &*last {
            Some((at, found)) if at.elapsed() < FRESH => return found.clone(),
            Some((_, found)) => found.clone(),
            None => Vec::new(),
        };
        let mut found = Vec::new();
        for (told, cause) in service.faults(now) {
            if !before.contains(&told) {
                self.log.error(format_args!("{told}: {cause}"));
            }
            found.push(told);
        }
        *last = Some((Instant::now(), found.clone()));
        found
    }
}
