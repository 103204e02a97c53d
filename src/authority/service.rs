//! One request from its seal to its sealed answer: opens it, looks the license up, hands it to the
//! accounting, and answers only when the change is durable.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::license::protocol::key::PublicKey;
use crate::license::protocol::message::{Answer, Denial, Kind, Op, Request};
use crate::license::protocol::token;
use crate::license::protocol::wire;
use crate::license::protocol::wire::OpenedRequest;
use crate::log::Log;
use crate::store::Error;
use crate::util::utc;

use super::accounting::{Context, Outcome, Sign, process};
use super::accounts::Accounts;
use super::clock::Clock;
use super::database::{Database, Key, Transaction, read, redacted};
use super::idle_seats::{IdleSeats, Room, Survey};
use super::keyring::Keyring;
use super::license::DAY;
use super::licenses::{Licenses, Update};
use super::metrics::Metrics;
use super::rate_limit::{RateLimit, Stage};

const NO_ISSUER: &str =
    "every issuer key has expired; make a new one with `license-authority rotate issuer`";

/// How long keys are used without asking a store for them again that machines share.
const FRESHNESS: Duration = Duration::from_secs(1);

/// How often the seats of a license are read for one activation, if they change meanwhile.
const MAX_SURVEYS: usize = 5;

mod certificates;

/// Answers requests, from any number of threads at once.
pub(crate) struct Service {
    licenses: Licenses,
    keys: Mutex<Keys>,
    wrong_codes: RateLimit,
    /// Days after the end of a lease from which another appliance may have the seat; never without.
    pub(crate) free_seats_after: Option<i64>,
    pub(crate) metrics: Arc<Metrics>,
    /// While it is not to be believed, no request from the network is answered; commands believe the clock.
    pub(crate) clock: Option<Clock>,
    log: Log,
}

/// The keys, and the text of the record that they were read from.
struct Keys {
    text: String,
    read_at: Instant,
    keyring: Arc<Keyring>,
}

/// How a request arrived.
#[derive(Clone, Copy)]
enum Channel {
    Network { source: IpAddr, stage: Stage },
    Certificate,
}

impl Service {
    /// # Errors
    /// When there are no usable keys.
    pub(crate) fn open(
        database: Arc<dyn Database>,
        dir: &Path,
        log: Log,
    ) -> Result<Service, Error> {
        let licenses = Licenses::new(database);
        let keyring = Arc::new(Keyring::load(licenses.database(), dir)?);
        // Not the text of these keys, so that the first request reads them.
        let keys = Mutex::new(Keys { text: String::new(), read_at: Instant::now(), keyring });
        Ok(Service {
            licenses,
            keys,
            wrong_codes: RateLimit::default(),
            free_seats_after: None,
            metrics: Arc::default(),
            clock: None,
            log,
        })
    }

    /// Why the clock is not to be believed.
    fn clock_fault(&self, now: i64) -> Option<String> {
        self.clock.as_ref().and_then(|clock| clock.check(now).err())
    }

    /// Writes the time down, which is to be done every minute.
    pub(crate) fn note_time(&self, now: i64) {
        if let Some(Err(error)) = self.clock.as_ref().map(|clock| clock.note(now)) {
            self.log.error(error);
        }
    }

    /// Steps of the store that had to run again, because what they had read was changed meanwhile.
    pub(crate) fn conflicts(&self) -> u64 {
        self.licenses.database().conflicts()
    }

    /// When the newest issuer key ends, in seconds since 1970.
    pub(crate) fn issuer_end(&self) -> i64 {
        self.keys().issuer_end()
    }

    /// What keeps it from answering: a sentence for everybody, and its cause for the log.
    pub(crate) fn faults(&self, now: i64) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if let Err(error) = self.read_keys() {
            faults.push(("the keys cannot be read", error.to_string()));
        }
        if self.keys().issuer(now).is_none() {
            faults.push(("no issuer key is valid", NO_ISSUER.to_owned()));
        }
        if let Err(error) = self.licenses.database().check() {
            faults.push(("the store cannot be written", error.to_string()));
        }
        faults.extend(self.clock_fault(now).map(|cause| ("the clock is not believed", cause)));
        faults
    }

    /// The current keys; `rotate` may have changed them since the last request.
    fn keys(&self) -> Arc<Keyring> {
        let is_shared = self.licenses.database().is_shared();
        let mut held = self.held_keys();
        let due = held.text.is_empty() || !is_shared || held.read_at.elapsed() >= FRESHNESS;
        if due {
            // One request asks; while the store does not answer, the others use the keys that are known.
            held.read_at = Instant::now();
            drop(held);
            if let Err(error) = self.read_keys() {
                self.log.error(format_args!(
                    "cannot load the new keys, so the old ones stay in use: {error}"
                ));
            }
            held = self.held_keys();
        }
        Arc::clone(&held.keyring)
    }

    fn held_keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_keys(&self) -> Result<(), Error> {
        let text = read(self.licenses.database(), &Key::keys())?.unwrap_or_default();
        let mut held = self.held_keys();
        if text != held.text {
            let keyring = Keyring::parse(&text)?;
            // Another request may have read newer ones meanwhile.
            if keyring.seq >= held.keyring.seq {
                (held.keyring, held.text) = (Arc::new(keyring), text);
            }
        }
        Ok(())
    }

    /// The status and the body of the response to a `POST`; `now` in seconds since 1970.
    pub(crate) fn respond(&self, body: &[u8], source: IpAddr, now: i64) -> (u16, Vec<u8>) {
        let keys = self.keys();
        let opened = match wire::open(body, &keys.request_keys) {
            Ok(opened) => opened,
            Err(unopened) => {
                self.log.warn(format_args!("refused a request from {source}: {unopened}"));
                self.metrics.question("unopened", "refused");
                return (422, unopened.to_body());
            }
        };
        let OpenedRequest { request, device, reply } = opened;
        let mut answer = self.process(&keys, &request, &device, source, now);
        if request.bundle_seq < keys.seq {
            answer.bundle = Some(keys.bundle.clone());
        }
        match reply.seal(&answer) {
            Ok(body) => (200, body),
            Err(broken) => {
                self.log.error(broken);
                (500, Vec::new())
            }
        }
    }

    /// The answer to a request from the network; internal errors go to the log, not to the client.
    fn process(
        &self,
        keys: &Keyring,
        request: &Request,
        device: &PublicKey,
        source: IpAddr,
        now: i64,
    ) -> Answer {
        if self.clock_fault(now).is_some() {
            self.metrics.question(request.op.name(), Denial::Unavailable.name());
            return Answer::denied(request.req_id, now, Denial::Unavailable);
        }
        if request.op == Op::Probe {
            self.metrics.question(Op::Probe.name(), Kind::Probe.name());
            return Answer::plain(request.req_id, now, Kind::Probe);
        }
        let stage = self.wrong_codes.stage(source, now);
        let moved = self.account(keys, request, device, Channel::Network { source, stage }, now);
        let (answer, unknown) = match moved {
            Ok(Some((answer, _))) => (answer, false),
            Ok(None) => (unknown_license(request, stage, now), true),
            Err(error) => {
                self.log.error(error);
                (Answer::denied(request.req_id, now, Denial::Unavailable), false)
            }
        };
        if unknown && stage != Stage::Unread {
            self.metrics.wrong_codes.increment();
            let counted = self.wrong_codes.record(source, stage, now, self.licenses.database());
            if counted.unwrap_or_else(|error| {
                self.log.error(error);
                false
            }) {
                self.log.warn(format_args!(
                    "10 wrong codes within an hour from {source}: more of them get too_many_tries; \
                     if that is a reverse proxy, name it with --trusted-proxy"
                ));
            }
        }
        let what = answer.denial.map_or(answer.kind.name(), Denial::name);
        self.metrics.question(request.op.name(), what);
        let (op, code) = (request.op.name(), redacted(&request.license));
        self.log.info(format_args!("{op} {code} from {source}: {what}"));
        answer
    }

    /// The answer, and whether it moved seconds now; `None` if no license has the code.
    fn account(
        &self,
        keys: &Keyring,
        request: &Request,
        device: &PublicKey,
        channel: Channel,
        now: i64,
    ) -> Result<Option<(Answer, bool)>, Error> {
        let unread = matches!(channel, Channel::Network { stage: Stage::Unread, .. });
        let Some((kid, issuer)) = keys.issuer(now) else {
            return Err(Error::new(NO_ISSUER.to_owned()));
        };
        let sign = |kind: token::Type, payload: &Value| token::sign(kind, kid, payload, issuer);
        let after = self.free_seats_after.filter(|_| matches!(channel, Channel::Network { .. }));
        let ended_before = after.map(|days| now.saturating_sub(days.saturating_mul(DAY)));
        let mut survey = None;
        for _ in 0..MAX_SURVEYS {
            let context = Context {
                request,
                device: device.fingerprint(),
                by_certificate: matches!(channel, Channel::Certificate),
                rate_limited: unread,
                now,
                bundle: (request.bundle_seq < keys.seq).then_some(&*keys.bundle),
                revoked: &keys.revoked,
                idle: IdleSeats { ended_before, survey: survey.as_ref() },
            };
            self.metrics.steps.increment();
            let Some(outcome) = self.move_seconds(&context, channel, &sign)? else {
                return Ok(None);
            };
            match (outcome.room, ended_before) {
                (Room::Unknown, Some(ended_before)) => {
                    let license = self.licenses.read(&request.license)?;
                    let look = |license| Survey::of(&self.licenses, &license, ended_before, now);
                    survey = license.map(look).transpose()?;
                    continue;
                }
                (Room::Freed(freed), _) => self.log.info(format_args!(
                    "freed a seat of {}: computer {}, silent since {}, was charged {} seconds",
                    redacted(&request.license),
                    freed.computer_id,
                    utc::format(freed.last_contact),
                    freed.charged
                )),
                _ => {}
            }
            return Ok(Some((outcome.answer, !outcome.repeated && outcome.event.is_some())));
        }
        Err(Error::new(format!(
            "the seats of the license {} changed too fast to find a free one",
            redacted(&request.license)
        )))
    }

    /// Applies a request in one step; `None` when there is no such license.
    fn move_seconds(
        &self,
        context: &Context<'_>,
        channel: Channel,
        sign: Sign<'_>,
    ) -> Result<Option<Outcome>, Error> {
        let load = |step: &mut dyn Transaction| {
            let mut loaded = Accounts::load(step, &context.device, context.request)?;
            let idle = context.idle.survey.and_then(|survey| survey.idle);
            if let (Some(accounts), Some(idle)) = (&mut loaded, idle) {
                accounts.load_device(step, &idle)?;
            }
            Ok(loaded)
        };
        self.licenses.update(&context.request.license, context.now, &load, |accounts| {
            let outcome = process(accounts, context, sign);
            let mut events = Vec::new();
            if let Room::Freed(freed) = &outcome.room {
                events.push(freed.event());
            }
            events.extend(outcome.event.map(|word| event(word, context, &outcome.answer, channel)));
            Update { result: outcome, events }
        })
    }
}

/// The answer to a code that no license has.
fn unknown_license(request: &Request, stage: Stage, now: i64) -> Answer {
    let denial = match stage {
        Stage::Free => Denial::UnknownLicense,
        Stage::Metered | Stage::Unread => Denial::TooManyTries,
    };
    Answer::denied(request.req_id, now, denial)
}

/// The entry of a license's audit log about a change; it never names a person.
fn event(word: &str, context: &Context<'_>, answer: &Answer, channel: Channel) -> Value {
    let request = context.request;
    let source = match channel {
        Channel::Network { source, .. } => source.to_string(),
        Channel::Certificate => "certificate".to_owned(),
    };
    json!({
        "event": word,
        "op": request.op,
        "req_id": request.req_id,
        "computer_id": request.computer_id,
        "consumed": request.consumed,
        "returned": answer.returned,
        "reason": answer.denial.map_or("", Denial::name),
        "source": source,
    })
}
