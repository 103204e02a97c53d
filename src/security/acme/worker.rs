//! The thread that fetches and renews the certificate. It runs while ACME is on, and only then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{self, AcmeError, Client, Proxy, Server};
use super::order::{Attempt, now, random};
use super::record::AcmeRecord;
use super::renewal;
use crate::log::Log;
use crate::security::{Error, SecuritySettings};
use crate::util::utc;

/// Longest sleep: a step of the clock, or a machine that was suspended, is noticed then.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// How often the authority is asked whether it wants an earlier renewal (RFC 9773 section 4.3.2).
const LOOK_AT_RENEWAL: i64 = 6 * 3600;

/// The proxy of the license service, or why it can't be told.
type LicenseProxy = Box<dyn Fn() -> Result<Option<Proxy>, String> + Send + Sync>;

/// Waits, and tells whether the record is still in force.
pub(super) type Wait<'a> = dyn Fn(Duration, &Arc<AcmeRecord>) -> Result<(), Stop> + 'a;

/// Fetches the certificate, see [`AcmeWorker::wake`].
pub(crate) struct AcmeWorker {
    security: Arc<SecuritySettings>,
    license_proxy: LicenseProxy,
    serves_http: bool,
    log: Log,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: bool,
    /// Counts the calls of [`AcmeWorker::wake`].
    wakes: u64,
}

/// Why an attempt has ended without a certificate.
pub(super) enum Stop {
    /// ACME was set anew or ended meanwhile.
    Superseded,
    Failed(AcmeError),
}

impl From<AcmeError> for Stop {
    fn from(error: AcmeError) -> Stop {
        Stop::Failed(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error.to_string().into())
    }
}

impl AcmeWorker {
    /// `serves_http`: whether a listener can answer http-01. No thread runs before [`AcmeWorker::wake`].
    pub(crate) fn new(
        security: Arc<SecuritySettings>,
        license_proxy: impl Fn() -> Result<Option<Proxy>, String> + Send + Sync + 'static,
        serves_http: bool,
        log: Log,
    ) -> Arc<AcmeWorker> {
        Arc::new(AcmeWorker {
            security,
            license_proxy: Box::new(license_proxy),
            serves_http,
            log,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// To be called at the start and after whatever may have changed ACME: starts the thread if ACME is on, and
    /// ends it if it is off.
    pub(crate) fn wake(self: &Arc<Self>) {
        let mut state = self.lock();
        state.wakes += 1;
        self.changed.notify_all();
        if state.running || self.security.acme().is_none() {
            return;
        }
        let worker = Arc::clone(self);
        let started = thread::Builder::new().name("acme".to_owned()).spawn(move || worker.run());
        match started {
            Ok(_) => state.running = true,
            Err(error) => self.log.error(format_args!("no certificate is fetched: {error}")),
        }
    }

    fn run(&self) {
        let mut look_at_renewal = now() + LOOK_AT_RENEWAL;
        loop {
            let wakes = self.lock().wakes;
            let Some(record) = self.security.acme() else {
                let mut state = self.lock();
                if state.wakes == wakes {
                    state.running = false;
                    return;
                }
                continue;
            };
            let due = record.due();
            if due <= now() {
                self.guarded(&record);
                look_at_renewal = now() + LOOK_AT_RENEWAL;
            } else if record.failure.is_none() && look_at_renewal <= now() {
                // A panic costs this look, not the thread.
                let look = catch_unwind(AssertUnwindSafe(|| self.look_at_renewal(&record)));
                look_at_renewal = now() + look.unwrap_or(LOOK_AT_RENEWAL);
            } else {
                let next = if record.failure.is_none() { due.min(look_at_renewal) } else { due };
                let pause = u64::try_from(next - now()).unwrap_or(0);
                self.sleep(Duration::from_secs(pause).min(LONGEST_SLEEP), wakes);
            }
        }
    }

    /// A panic costs an attempt, not the thread.
    fn guarded(&self, record: &Arc<AcmeRecord>) {
        let mut record = Arc::clone(record);
        let result = catch_unwind(AssertUnwindSafe(|| self.attempt(&mut record)));
        let result = result.unwrap_or_else(|_| {
            Err(AcmeError::from("internal error (panic) while it was fetched".to_owned()).into())
        });
        if let Err(Stop::Failed(error)) = result {
            self.note_failure(&record, error);
        }
    }

    fn attempt(&self, record: &mut Arc<AcmeRecord>) -> Result<(), Stop> {
        let client = self.connect(record)?;
        let wait = |pause: Duration, record: &Arc<AcmeRecord>| self.wait(pause, record);
        let serves_http = self.serves_http;
        let security = &self.security;
        Attempt { security, record, client, serves_http, wait: &wait }.run()
    }

    fn connect(&self, record: &AcmeRecord) -> Result<Client, AcmeError> {
        let config = &record.config;
        let proxy = if config.use_license_proxy { (self.license_proxy)()? } else { None };
        let root = config.root.as_deref();
        Client::connect(&Server { directory: &config.directory, root, proxy })
    }

    fn note_failure(&self, record: &Arc<AcmeRecord>, error: AcmeError) {
        let retry_after =
            error.retry_after.map(|pause| i64::try_from(pause.as_secs()).unwrap_or(i64::MAX));
        let failure =
            renewal::failed(record.failure.as_ref(), error.message, retry_after, now(), random());
        let after = AcmeRecord { failure: Some(failure), ..AcmeRecord::clone(record) };
        let sentence = after.trouble().unwrap_or_default();
        let summary = &self.security.identity().snapshot().summary;
        if renewal::is_urgent(&after, summary, now()) {
            self.log.error(sentence);
        } else {
            self.log.warn(sentence);
        }
        // A failure to save is logged already; without it, the next attempt would follow at once.
        if self.security.save_acme(record, after).is_err() {
            // Read first: the lock would be held to the end of the statement, and sleeping takes it.
            let wakes = self.lock().wakes;
            self.sleep(LONGEST_SLEEP, wakes);
        }
    }

    /// Asks the authority for the time of the renewal, and returns the seconds until the next time.
    fn look_at_renewal(&self, record: &Arc<AcmeRecord>) -> i64 {
        let identity = self.security.identity().snapshot();
        let id = identity.certified.cert.first().and_then(|leaf| client::certificate_id(leaf));
        let info = self
            .connect(record)
            .ok()
            .zip(id)
            .and_then(|(mut client, id)| client.renewal_info(&id).ok().flatten());
        let Some(info) = info else {
            return LOOK_AT_RENEWAL;
        };
        let chosen = record.renewal.unwrap_or(info.end);
        if !(info.start..=info.end.max(info.start)).contains(&chosen) {
            let renewal = renewal::in_window(info.start, info.end, random());
            let why = info.explanation_url.map(|url| format!(", see {url}")).unwrap_or_default();
            self.log.info(format_args!(
                "the certificate authority asks for a renewal at {}{why}",
                utc::format(renewal)
            ));
            let after = AcmeRecord { renewal: Some(renewal), ..AcmeRecord::clone(record) };
            let _ = self.security.save_acme(record, after); // a failure is logged
        }
        let asked = info.retry_after.and_then(|pause| i64::try_from(pause.as_secs()).ok());
        asked.unwrap_or(LOOK_AT_RENEWAL).clamp(renewal::SOONEST_RETRY, 4 * LOOK_AT_RENEWAL)
    }

    /// Waits in an attempt; ends early if ACME is set anew or ended.
    fn wait(&self, pause: Duration, record: &Arc<AcmeRecord>) -> Result<(), Stop> {
        let end = Instant::now() + pause;
        loop {
            let wakes = self.lock().wakes;
            if !self.security.acme().is_some_and(|current| Arc::ptr_eq(&current, record)) {
                return Err(Stop::Superseded);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.sleep(left, wakes);
        }
    }

    /// Sleeps until somebody wakes the thread, unless that has happened since `wakes` was read.
    fn sleep(&self, pause: Duration, wakes: u64) {
        let unchanged = |state: &mut State| state.wakes == wakes;
        let _ = self.changed.wait_timeout_while(self.lock(), pause, unchanged);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use serde_json::json;

    use super::AcmeWorker;
    use crate::config::{Acme, Api};
    use crate::log::Log;
    use crate::security::{Actor, SecuritySettings};
    use crate::store::Scratch;

    #[test]
    fn a_full_disk_holds_up_the_next_attempt_and_nobody_who_wakes_the_worker() {
        let scratch = Scratch::new();
        let (lines, logged) = mpsc::channel();
        let log = Log::to(move |line| drop(lines.send(line.to_owned())));
        let folder = scratch.0.join("state");
        let api = Api { v1: true, v2: true };
        let security = Arc::new(SecuritySettings::open(&folder, api, log.clone()).unwrap());
        let config = Acme::from_json(json!({"directory": "https://127.0.0.1:1/"})).unwrap();
        security.set_acme(&Actor::Local, config).unwrap();
        // A folder in place of the temporary makes every write fail, also for root.
        fs::create_dir(folder.join(".acme.json.tmp")).unwrap();
        let worker = AcmeWorker::new(security, || Ok(None), true, log);
        worker.wake();
        while !logged.recv().unwrap().contains("could not be changed") {}
        let (woken, done) = mpsc::channel();
        thread::spawn(move || {
            // One of them comes while the thread sleeps.
            for _ in 0..20 {
                worker.wake();
                thread::yield_now();
            }
            woken.send(()).unwrap();
        });
        done.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
