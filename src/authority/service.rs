//! One request from its seal to its sealed answer: opens it, looks the license up, hands it to the
//! accounting, and answers only when the license is on disk.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use std::os::unix::fs::MetadataExt;

use serde_json::{Map, Value};

use crate::license::protocol::certificate::Certificate;
use crate::license::protocol::key::PublicKey;
use crate::license::protocol::message::{Answer, Denial, Kind, Op, Request};
use crate::license::protocol::wire;
use crate::license::protocol::wire::{OpenedRequest, Sealed};
use crate::license::protocol::{claims, token, trust};
use crate::log::Log;
use crate::store::Error;

use super::accounting::{Context, process};
use super::keyring::{self, Keyring};
use super::license_store::{LicenseStore, Update, redacted};
use super::rate_limit::RateLimit;

/// Answers requests, from any number of threads at once.
pub(crate) struct Service {
    dir: PathBuf,
    licenses: LicenseStore,
    keys: Mutex<(Stamp, Arc<Keyring>)>,
    wrong_codes: RateLimit,
    log: Log,
}

/// Inode, size and modification time of the key file; a new version differs in one of them.
type Stamp = (u64, u64, i64, i64);

/// The HTTP response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// How a request arrived.
#[derive(Clone, Copy)]
enum Channel {
    Network {
        source: IpAddr,
        /// Whether too many wrong codes came from that address.
        rate_limited: bool,
    },
    Certificate,
}

impl Service {
    /// # Errors
    /// When there are no usable keys.
    pub(crate) fn open(dir: &Path, log: Log) -> Result<Service, Error> {
        let stamp = stamp(dir);
        let keys = Mutex::new((stamp, Arc::new(Keyring::load(dir)?)));
        let (dir, licenses) = (dir.to_owned(), LicenseStore::new(dir));
        Ok(Service { dir, licenses, keys, wrong_codes: RateLimit::default(), log })
    }

    /// The current keys; `rotate` may have changed them since the last request.
    fn keys(&self) -> Arc<Keyring> {
        let mut held = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.dir);
        if held.0 != stamp {
            match Keyring::load(&self.dir) {
                Ok(keys) => *held = (stamp, Arc::new(keys)),
                Err(error) => self.log.error(format_args!(
                    "cannot load the new keys, so the old ones stay in use: {error}"
                )),
            }
        }
        Arc::clone(&held.1)
    }

    /// Answers the body of a `POST`; `now` in seconds since 1970.
    pub(crate) fn respond(&self, body: &[u8], source: IpAddr, now: i64) -> Response {
        let keys = self.keys();
        let opened = match wire::open(body, keys.request_keys()) {
            Ok(opened) => opened,
            Err(unopened) => {
                self.log.warn(format_args!("refused a request from {source}: {unopened}"));
                return Response { status: 422, body: unopened.to_body() };
            }
        };
        let OpenedRequest { request, device, reply } = opened;
        let mut answer = self.process(&keys, &request, &device, source, now);
        if request.bundle_seq < keys.seq() {
            answer.bundle = Some(keys.bundle().to_owned());
        }
        match reply.seal(&answer) {
            Ok(body) => Response { status: 200, body },
            Err(broken) => {
                self.log.error(broken);
                Response { status: 500, body: Vec::new() }
            }
        }
    }

    /// Answers an activation certificate with a license certificate; the same one gives the same answer.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn sign(&self, text: &str, now: i64) -> Result<String, Error> {
        let sealed = match Certificate::read(text) {
            Ok(Certificate::Activation(sealed)) => sealed,
            Ok(other) => return Err(Error::Failed(format!("this is {}", other.kind()))),
            Err(error) => return Err(Error::Failed(error.to_string())),
        };
        let (answer, _) = self.by_certificate(&sealed, &[Op::Activate, Op::Sync], now)?;
        let token =
            answer.token.ok_or_else(|| Error::Failed("the answer holds no token".to_owned()))?;
        Certificate::License(token).write().ok_or_else(|| {
            Error::Failed("the license certificate would be longer than 65535 bytes".to_owned())
        })
    }

    /// Credits the seconds of a return certificate, once. Returns their number, and whether they were
    /// credited now.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn redeem(&self, text: &str, now: i64) -> Result<(i64, bool), Error> {
        let sealed = match Certificate::read(text) {
            Ok(Certificate::Return(sealed)) => sealed,
            Ok(other) => return Err(Error::Failed(format!("this is {}", other.kind()))),
            Err(error) => return Err(Error::Failed(error.to_string())),
        };
        let (answer, moved) = self.by_certificate(&sealed, &[Op::Return], now)?;
        match answer.kind {
            Kind::Returned => Ok((answer.returned, moved)),
            _ => Err(Error::Failed("its totals differ from the license's records, so all seconds it held were charged; correct that with \
                `license-authority credit`, and free its seat with `license-authority release`".to_owned())),
        }
    }

    /// The answer, and whether it moved seconds now.
    fn by_certificate(
        &self,
        sealed: &Sealed,
        ops: &[Op],
        now: i64,
    ) -> Result<(Answer, bool), Error> {
        let keys = self.keys();
        let opened = wire::open_certificate(sealed, keys.request_keys())
            .map_err(|error| Error::Failed(format!("the certificate is not genuine: {error}")))?;
        if !ops.contains(&opened.request.op) {
            return Err(Error::Failed(format!(
                "the certificate holds a `{}` request, which this command does not take",
                opened.request.op.name()
            )));
        }
        let answer =
            self.account(&keys, &opened.request, &opened.device, Channel::Certificate, now);
        let (answer, moved) = answer?;
        match answer.kind {
            Kind::Denied
                if opened.request.op == Op::Return && answer.denial == Some(Denial::Duplicate) =>
            {
                Err(Error::Failed("this activation holds no seconds: it was returned or released before, or a later \
                    activation took its seat"
                    .to_owned()))
            }
            Kind::Denied => Err(Error::Failed(answer.message)),
            Kind::Stale => {
                Err(Error::Failed("this request was answered before, and the appliance has sent a newer one since"
                    .to_owned()))
            }
            _ => Ok((answer, moved)),
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
        if request.op == Op::Probe {
            return Answer::plain(request.req_id, now, Kind::Probe);
        }
        let code = request.license.as_str();
        let rate_limited = self.wrong_codes.is_exceeded(source, code, now);
        let channel = Channel::Network { source, rate_limited };
        let moved = self.account(keys, request, device, channel, now);
        let answer = moved.map(|(answer, _)| answer).unwrap_or_else(|error| {
            self.log.error(error);
            Answer::denied(request.req_id, now, Denial::Unavailable)
        });
        if answer.denial == Some(Denial::UnknownLicense) {
            self.wrong_codes.record(source, code, now);
        }
        let what = answer.denial.map_or(answer.kind.name(), Denial::name);
        let (op, code) = (request.op.name(), redacted(code));
        self.log.info(format_args!("{op} {code} from {source}: {what}"));
        answer
    }

    fn account(
        &self,
        keys: &Keyring,
        request: &Request,
        device: &PublicKey,
        channel: Channel,
        now: i64,
    ) -> Result<(Answer, bool), Error> {
        let rate_limited = matches!(channel, Channel::Network { rate_limited: true, .. });
        let Some((kid, issuer)) = keys.issuer(now) else {
            let next = "every issuer key has expired; make a new one with `license-authority rotate issuer`";
            return Err(Error::Failed(next.to_owned()));
        };
        let sign = |kind: token::Type, payload: &Value| token::sign(kind, kid, payload, issuer);
        let context = Context {
            request,
            device: device.fingerprint(),
            by_certificate: matches!(channel, Channel::Certificate),
            rate_limited,
            now,
            bundle: (request.bundle_seq < keys.seq()).then(|| keys.bundle()),
            revoked: keys.revoked(),
        };
        let answered = self.licenses.update(&request.license, now, |license| {
            let outcome = process(license, &context, &sign);
            let moved = !outcome.repeated && outcome.event.is_some();
            let event = outcome.event.map(|word| event(word, &context, &outcome.answer, channel));
            Update { result: (outcome.answer, moved), event }
        })?;
        let unknown = if rate_limited { Denial::TooManyTries } else { Denial::UnknownLicense };
        Ok(answered.unwrap_or_else(|| (Answer::denied(request.req_id, now, unknown), false)))
    }
}

/// The entry of a license's audit log about a change; it never names a person.
fn event(
    word: &str,
    context: &Context<'_>,
    answer: &Answer,
    channel: Channel,
) -> Map<String, Value> {
    let request = context.request;
    let source = match channel {
        Channel::Network { source, .. } => source.to_string(),
        Channel::Certificate => "certificate".to_owned(),
    };
    let reason = answer.denial.map_or("", Denial::name);
    let members: [(&str, Value); 8] = [
        ("event", word.into()),
        ("op", request.op.name().into()),
        ("req_id", request.req_id.to_string().into()),
        ("computer_id", request.computer_id.clone().into()),
        ("consumed", request.consumed.into()),
        ("returned", answer.returned.into()),
        ("reason", reason.into()),
        ("source", source.into()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn stamp(dir: &Path) -> Stamp {
    let found = std::fs::metadata(keyring::state(dir));
    found.map_or((0, 0, 0, 0), |m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec()))
}

/// Describes the content of a certificate or token. Checks the signature if `trust` is given, and nothing
/// else.
///
/// # Errors
/// When the text is neither.
pub(crate) fn inspect(text: &str, trust: Option<&trust::Trust>, now: i64) -> Result<Value, Error> {
    let as_token = text.trim();
    let certificate = match token::Unverified::parse(as_token) {
        Some(_) => Certificate::License(as_token.to_owned()),
        None => Certificate::read(text).map_err(|error| Error::Failed(error.to_string()))?,
    };
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    match &certificate {
        Certificate::Activation(sealed) | Certificate::Return(sealed) => {
            put("is", certificate.kind().to_string().into());
            put("sealed_to", sealed.kid.as_str().into());
            put("sealed_bytes", sealed.ct.len().into());
        }
        Certificate::License(text) => {
            let damaged = || Error::Failed("the token in it is damaged".to_owned());
            let token = token::Unverified::parse(text).ok_or_else(damaged)?;
            let payload = token.unverified_payload().ok_or_else(damaged)?;
            let kind = token::Type::ALL.iter().copied().find(|kind| {
                let keys = trust.map(|trust| trust.verify(*kind, text, trust::Dates::At(now)));
                keys.is_some_and(|verified| verified.is_ok())
            });
            put(
                "is",
                if as_token == text {
                    "a token".into()
                } else {
                    certificate.kind().to_string().into()
                },
            );
            put("signed_with", token.kid.as_str().into());
            put(
                "genuine",
                match (trust, kind) {
                    (None, _) => "not checked: --dir holds no keys".into(),
                    (Some(_), Some(kind)) => format!("yes, as a {}", kind.name()).into(),
                    (Some(_), None) => "no: no key that is valid now made this signature".into(),
                },
            );
            if let Ok(lease) = claims::Lease::from_json(&payload) {
                put("seconds", (lease.granted).into());
                put("subscription_expiry", crate::util::utc::format(lease.exp).into());
            }
            put("says", payload);
        }
    }
    Ok(Value::Object(shown))
}
