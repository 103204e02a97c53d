//! Monitoring: the Glances REST API v3 (`/api/3/…`), read from `/proc` and `/sys`.
//!
//! In: routes (`route`), plugins (one file each), their limits, and the errors a Glances client
//! expects, which are pages, not JSON (`error`). Out: HTTP, which the management API handles, and the
//! `/monitor` prefix, which is removed already.
//!
//! Nothing is read without a request: the first request of a second reads the counters, and the others of
//! that second get its results. Members are in the order of Glances 3.1; those that 3.4 added are included.

mod core;
mod cpu;
mod diskio;
mod error;
mod fs;
mod interval;
mod limits;
mod load;
pub(crate) mod mem;
mod memswap;
mod network;
mod now;
mod percpu;
mod processcount;
pub(crate) mod processor;
mod quicklook;
mod route;
mod system;
mod uptime;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

pub(crate) use self::error::GlancesError;
pub(crate) use self::fs::{Space, spaces};
use self::interval::{Counters, Interval};

/// Computes a plugin's stats from an interval. The error says why it has nothing to show, for example
/// `/proc/stat: Permission denied`.
type Plugin = fn(&Interval) -> Result<Value, String>;

/// The plugins in Glances' order.
#[rustfmt::skip]
const PLUGINS: &[(&str, Plugin)] = &[
    ("quicklook",    quicklook::stats),
    ("processcount", processcount::stats),
    ("system",       system::stats),
    ("cpu",          cpu::stats),
    ("load",         load::stats),
    ("percpu",       percpu::stats),
    ("fs",           fs::stats),
    ("core",         core::stats),
    ("memswap",      memswap::stats),
    ("mem",          mem::stats),
    ("now",          now::stats),
    ("uptime",       uptime::stats),
    ("diskio",       diskio::stats),
    ("network",      network::stats),
];

/// How long results are reused (Glances: `--cached-time`).
const FRESH: Duration = Duration::from_secs(1);

/// The content at a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// Measured values.
    Stats(Value),
    /// Constant values, which Glances sends without a character set.
    Limits(Value),
    /// The word `Active`, which shows that the server is up.
    Active,
}

/// Reads and caches the machine's state; shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct Monitor(Mutex<Cache>);

/// The results of the current second.
#[derive(Debug, Default)]
struct Cache {
    since: Option<Instant>,
    interval: Interval,
    /// Results by index in [`PLUGINS`], computed on demand.
    seen: [Option<Result<Arc<Value>, String>>; PLUGINS.len()],
}

impl Monitor {
    /// The content at `path`; `readable` is whether the method is one that reads.
    ///
    /// # Errors
    /// What Glances would answer: 400, 404 or 405.
    pub(crate) fn get(&self, readable: bool, path: &str) -> Result<Content, GlancesError> {
        if readable {
            route::get(self, path)
        } else {
            Err(GlancesError { status: 405, text: "Method not allowed.".to_owned() })
        }
    }

    /// The stats of the plugin with this name.
    pub(crate) fn stats(&self, plugin: &str) -> Result<Arc<Value>, String> {
        let Some(index) = PLUGINS.iter().position(|(name, _)| *name == plugin) else {
            return Err(format!("there is no plugin {plugin}"));
        };
        // A thread that panicked here leaves only complete values behind.
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.refresh(Instant::now());
        cache.stats(index)
    }

    /// Every plugin's stats by name; a plugin without any has an empty object.
    fn all(&self) -> Value {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.refresh(Instant::now());
        let seen: Vec<_> = (0..PLUGINS.len()).map(|index| cache.stats(index)).collect();
        drop(cache);
        let stats = seen.into_iter().map(|seen| seen.map_or(json!({}), Arc::unwrap_or_clone));
        PLUGINS.iter().map(|(name, _)| (*name).to_owned()).zip(stats).collect::<Map<_, _>>().into()
    }
}

impl Cache {
    fn refresh(&mut self, now: Instant) {
        let age = self.since.map(|since| now.saturating_duration_since(since));
        if age.is_some_and(|age| age < FRESH) {
            return;
        }
        self.interval.advance(Counters::read(), age);
        self.since = Some(now);
        self.seen = Default::default();
    }

    fn stats(&mut self, index: usize) -> Result<Arc<Value>, String> {
        let seen = &mut self.seen[index];
        seen.get_or_insert_with(|| PLUGINS[index].1(&self.interval).map(Arc::new)).clone()
    }
}

/// `part` of `whole` in percent with one decimal, as Glances rounds it; 0 if `whole` is 0.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { tenths(part as f64 / whole as f64 * 100.0) }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Reads a file of `/proc` or `/sys`; the error names it.
fn read(path: &str) -> Result<String, String> {
    // Names of disks, mounts and processes may be invalid UTF-8, which must not hide the others.
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use serde_json::Value;

    use super::{Cache, FRESH, Monitor, PLUGINS};

    #[test]
    fn every_plugin_sees_this_machine() {
        let all = Monitor::default().all();
        for (name, _) in PLUGINS {
            let empty = match &all[name] {
                Value::Object(members) => members.is_empty(),
                Value::String(text) => text.is_empty(),
                // A container may show no disk, no mount and no interface.
                Value::Array(_) => false,
                _ => true,
            };
            assert!(!empty, "{name}: {}", all[name]);
        }
    }

    #[test]
    fn within_a_second_everybody_gets_the_same() {
        let mut cache = Cache::default();
        let cpu = PLUGINS.iter().position(|(name, _)| *name == "cpu").unwrap();
        let begin = Instant::now();
        cache.refresh(begin);
        let first = cache.stats(cpu).unwrap();
        cache.refresh(begin + FRESH - Duration::from_millis(1));
        assert!(Arc::ptr_eq(&first, &cache.stats(cpu).unwrap()));
        cache.refresh(begin + FRESH * 3);
        let second = cache.stats(cpu).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        assert_eq!(second["time_since_update"], 3.0);
    }

    #[test]
    fn the_first_reading_tells_what_was_since_the_boot() {
        let monitor = Monitor::default();
        let cpu = monitor.stats("cpu").unwrap();
        assert!(cpu["time_since_update"].as_f64().unwrap() > 1.0, "{cpu}");
        assert!(cpu["ctx_switches"].as_u64().unwrap() > 0, "{cpu}");
    }
}
