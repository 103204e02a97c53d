//! The one function that moves seconds: a question of an appliance against the accounts of a license.
//!
//! A function of values: the caller has opened the question, checked the device's signature, holds the
//! license's lock, and writes the license to disk before the answer leaves.
//!
//! Whatever comes twice changes nothing the second time. A question that was answered is known by its
//! id; one of an older epoch by its epoch; a refused one, and any activation, by its id for good, since
//! nothing else in it could tell that it is old. A *new* question that does not continue the last
//! answer means that the appliance is a copy or was restored: what it held is charged, and a new epoch
//! begins. That takes the device's key, so nobody on the network can cause it.

use serde_json::Value;

use crate::license::protocol::claims::Receipt;
use crate::license::protocol::hex::Digest;
use crate::license::protocol::key::KeyId;
use crate::license::protocol::message::{Answer, Denial, Kind, Mode, Op, Request};
use crate::license::protocol::token::{Type, Unverified};

use super::license::{Activation, FREE, Kept, License, MONTH, Status};
use super::seen::Seen;

/// Activations of one license, ever. Each is the act of a person.
const MOST_ACTIVATIONS: usize = 100_000;

/// Refusals of one license that are remembered.
const MOST_REFUSALS: usize = 1_000;

/// A question with what the desk knows about it.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request,
    /// Fingerprint of the key that signed it.
    pub(crate) device: Digest,
    /// Whether it came in a certificate, to be answered with one.
    pub(crate) by_mail: bool,
    /// Whether there were too many wrong codes from there.
    pub(crate) limited: bool,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// For an answer by mail: the bundle, if the appliance's is older.
    pub(crate) bundle: Option<&'a str>,
    /// Keys whose signatures no appliance believes any more.
    pub(crate) revoked: &'a [KeyId],
}

/// What became of it.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// What has happened to the license, in a word for its audit log; `None` if nothing has.
    pub(crate) event: Option<&'static str>,
    /// Whether the question came before, so that no seconds were moved by it now.
    pub(crate) repeated: bool,
}

/// Signs a payload as a token of that type.
pub(crate) type Sign<'a> = &'a dyn Fn(Type, &Value) -> String;

/// Answers a question, and moves seconds accordingly.
pub(crate) fn handle(license: &mut License, asked: &Asked<'_>, sign: Sign<'_>) -> Outcome {
    if let Some(answer) = repeated(license, asked) {
        let renewed = renew(license, asked, sign, &answer);
        let event = renewed.is_some().then_some("signed again");
        let answer = renewed.unwrap_or(answer);
        let answer = Answer { server_time: asked.now, ..answer };
        return Outcome { answer, event, repeated: true };
    }
    let outcome = match asked.request.op {
        _ if asked.limited && stranger(license, asked) => {
            let remember = asked.request.op == Op::Activate;
            Err(Refused { denial: Denial::TooManyTries, remember })
        }
        Op::Activate => activate(license, asked, sign),
        Op::Sync | Op::Return => go_on(license, asked, sign),
        Op::Probe => {
            let answer = Answer::plain(asked.request.req_id, asked.now, Kind::Probe);
            return Outcome { answer, event: None, repeated: false };
        }
    };
    outcome.unwrap_or_else(|Refused { denial, remember }| {
        let event = remember.then(|| refuse(license, asked, denial));
        let answer = license.denied(asked.request, asked.now, denial);
        Outcome { answer, event, repeated: false }
    })
}

/// The answer to a question that came before.
fn repeated(license: &License, asked: &Asked<'_>) -> Option<Answer> {
    let id = asked.request.req_id;
    let known = license.activations.iter().find(|activation| activation.device == asked.device);
    let kept = known.and_then(|activation| activation.kept.as_ref());
    if let Some(kept) = kept.filter(|kept| kept.answer.req_id == id) {
        return Some(kept.answer.clone());
    }
    if let Some((_, denial)) = license.refused.iter().find(|(refused, _)| *refused == id) {
        return Some(license.denied(asked.request, asked.now, *denial));
    }
    let answered = known.is_some_and(|activation| activation.ids.contains(id));
    let activated = asked.request.op == Op::Activate && license.activated.contains(id);
    (answered || activated).then(|| Answer::plain(id, asked.now, Kind::Stale))
}

/// The same answer under a new signature, if the key of the old one was revoked since.
///
/// It may be somebody on the network who asks again, so the appliance's last answer counts under either.
fn renew(
    license: &mut License,
    asked: &Asked<'_>,
    sign: Sign<'_>,
    answer: &Answer,
) -> Option<Answer> {
    let old = Unverified::parse(answer.token.as_deref()?)?;
    if !asked.revoked.contains(&old.kid) {
        return None;
    }
    let mut payload = old.unverified_payload()?;
    let kind = match (answer.kind, asked.by_mail) {
        (Kind::Returned, _) => Type::ReturnReceipt,
        (_, true) => Type::LicenseCertificate,
        (_, false) => Type::Lease,
    };
    if let Some(bundle) = asked.bundle.filter(|_| kind == Type::LicenseCertificate) {
        payload["bundle"] = bundle.into();
    }
    let token = sign(kind, &payload);
    let activation = license.activations.iter_mut().find(|a| a.device == asked.device)?;
    if kind != Type::ReturnReceipt {
        activation.also.push(activation.last);
        activation.last = Digest::of(token.as_bytes());
    }
    let answer = Answer { token: Some(token), ..answer.clone() };
    activation.kept = Some(Kept { answer: answer.clone() });
    Some(answer)
}

/// Whether this device never held a seat: it may be guessing codes.
fn stranger(license: &License, asked: &Asked<'_>) -> bool {
    !license.activations.iter().any(|activation| activation.device == asked.device)
}

struct Refused {
    denial: Denial,
    /// Whether the same question could succeed later.
    remember: bool,
}

/// A refusal that the accounts themselves repeat.
const DUPLICATE: Refused = Refused { denial: Denial::Duplicate, remember: false };

fn refuse(license: &mut License, asked: &Asked<'_>, denial: Denial) -> &'static str {
    license.refused.push((asked.request.req_id, denial));
    let beyond = license.refused.len().saturating_sub(MOST_REFUSALS);
    license.refused.drain(..beyond);
    "refused"
}

/// Whether the terms allow seconds to be granted now.
fn granting(license: &License, asked: &Asked<'_>) -> Result<(), Refused> {
    let denial = match license.status {
        Status::Revoked => Denial::Revoked,
        Status::Suspended => Denial::Suspended,
        Status::Active if asked.now >= license.terms.end() => Denial::Expired,
        Status::Active if asked.request.mode == Mode::Offline && !license.terms.offline => {
            Denial::OfflineNotAllowed
        }
        Status::Active => return Ok(()),
    };
    Err(Refused { denial, remember: true })
}

/// A person entered the code: a free seat, or the one this computer or this device holds already.
fn activate(license: &mut License, asked: &Asked<'_>, sign: Sign<'_>) -> Result<Outcome, Refused> {
    let request = asked.request;
    let refused = |denial| Err(Refused { denial, remember: true });
    if request.product != license.terms.product {
        return Err(Refused { denial: Denial::UnknownLicense, remember: false });
    }
    granting(license, asked)?;
    if license.activated.len() >= MOST_ACTIVATIONS {
        return refused(Denial::ActivationsExceeded);
    }
    let own = |activation: &Activation| {
        activation.open
            && (activation.device == asked.device || activation.computer_id == request.computer_id)
    };
    let taken: Vec<usize> =
        (0..license.activations.len()).filter(|at| own(&license.activations[*at])).collect();
    let mut event = "activated";
    match taken[..] {
        [] if license.open().count() >= usize::try_from(license.terms.seats).unwrap_or(0) => {
            return refused(Denial::ActivationsExceeded);
        }
        [] => {}
        // Nothing was lost since the last answer, so nothing needs to be charged.
        [at] if continues(&license.activations[at], asked) => {
            license.activations[at].consumed = request.consumed;
            let unused = license.activations[at].outstanding();
            license.close(at, unused);
        }
        _ => {
            license.takeovers.retain(|(time, _)| asked.now.saturating_sub(*time) < MONTH);
            if license.next_takeover(&request.computer_id, asked.now).is_some() {
                return refused(Denial::TooManyTakeovers);
            }
            license.takeovers.push((asked.now, request.computer_id.clone()));
            taken.into_iter().for_each(|at| license.close(at, 0));
            event = "taken over";
        }
    }
    license.activated.insert(request.req_id, MOST_ACTIVATIONS);
    // Sent again or played again, the other one would take the seat of this one.
    if let Some(other) = request.instead_of.filter(|id| !license.activated.contains(*id)) {
        license.activated.insert(other, MOST_ACTIVATIONS);
    }
    let at = begin(license, asked);
    Ok(lease(license, at, asked, Kind::Lease, sign, event))
}

fn continues(activation: &Activation, asked: &Asked<'_>) -> bool {
    activation.device == asked.device
        && activation.computer_id == asked.request.computer_id
        && activation.fits(asked.request)
}

/// More seconds, or all of them back.
fn go_on(license: &mut License, asked: &Asked<'_>, sign: Sign<'_>) -> Result<Outcome, Refused> {
    let request = asked.request;
    let known = license.activations.iter().position(|a| a.device == asked.device && a.open);
    let at = known.filter(|at| license.activations[*at].epoch == request.epoch).ok_or(DUPLICATE)?;
    let activation = &license.activations[at];
    // Its id may have been forgotten, so it can't be told from one that is played again.
    let remembered = i64::try_from(license.terms.most_ids()).unwrap_or(i64::MAX);
    if request.seq + remembered <= activation.seq {
        return Err(DUPLICATE);
    }
    let moved = activation.computer_id != request.computer_id;
    if moved && !may_move(license, at, asked) {
        return Err(DUPLICATE);
    }
    if request.op == Op::Sync {
        granting(license, asked)?;
        if asked.by_mail && request.consumed < license.activations[at].consumed {
            return Err(Refused { denial: Denial::WentBack, remember: true });
        }
    }
    if moved {
        let activation = &mut license.activations[at];
        activation.computer_id.clone_from(&request.computer_id);
        activation.moves.push(asked.now);
    }
    if !license.activations[at].fits(request) {
        license.close(at, 0);
        let at = begin(license, asked);
        return Ok(lease(license, at, asked, Kind::Reset, sign, "reset"));
    }
    license.activations[at].consumed = request.consumed;
    if request.op == Op::Return {
        return Ok(give_back(license, at, asked, sign));
    }
    let missing = target(license, request) - license.activations[at].outstanding();
    license.activations[at].granted += license.pool.take(missing);
    Ok(lease(license, at, asked, Kind::Lease, sign, if moved { "moved" } else { "synced" }))
}

/// The same device key in another computer: the machine was moved, a limited number of times.
fn may_move(license: &License, at: usize, asked: &Asked<'_>) -> bool {
    let (activation, request) = (&license.activations[at], asked.request);
    let recent = activation.moves.iter().filter(|time| asked.now.saturating_sub(**time) < MONTH);
    request.prev_computer_id.as_ref() == Some(&activation.computer_id)
        && recent.count() < FREE
        && !license.open().any(|other| other.computer_id == request.computer_id)
}

/// The seconds this appliance should hold after the answer, if there are as many.
fn target(license: &License, request: &Request) -> i64 {
    match (request.op, request.mode) {
        (Op::Return | Op::Probe, _) => 0,
        (_, Mode::Online) => request.want.min(license.terms.cache),
        (_, Mode::Offline) => request.want.min(license.terms.offline_secs),
    }
}

/// Begins an epoch for the device in place of its last one, with fresh seconds; says where it stands.
fn begin(license: &mut License, asked: &Asked<'_>) -> usize {
    let request = asked.request;
    let granted = license.pool.take(target(license, request));
    let known = license.activations.iter().position(|a| a.device == asked.device);
    let last = known.map(|at| &license.activations[at]);
    let fresh = Activation {
        device: asked.device,
        computer_id: request.computer_id.clone(),
        open: true,
        epoch: last.map_or(0, |last| last.epoch) + 1,
        seq: 0,
        last: Digest::NONE,
        also: Vec::new(),
        granted,
        consumed: 0,
        ids: Seen::default(),
        kept: None,
        moves: last.map_or(Vec::new(), |last| last.moves.clone()),
        offline: false,
        heard: asked.now,
        version: String::new(),
        log_head: Digest::NONE,
        regressions: 0,
        user: last.map_or_else(Default::default, |last| last.user.clone()),
    };
    match known {
        Some(at) => {
            license.activations[at] = fresh;
            at
        }
        None => {
            license.activations.push(fresh);
            license.activations.len() - 1
        }
    }
}

fn lease(
    license: &mut License,
    at: usize,
    asked: &Asked<'_>,
    kind: Kind,
    sign: Sign<'_>,
    event: &'static str,
) -> Outcome {
    let activation = &mut license.activations[at];
    activation.seq += 1;
    activation.offline = asked.request.mode == Mode::Offline;
    let mut lease = license.lease(&license.activations[at], asked.request.req_id, asked.now);
    lease.bundle = asked.bundle.filter(|_| asked.by_mail).map(str::to_owned);
    let wanted = if asked.by_mail { Type::LicenseCertificate } else { Type::Lease };
    let token = sign(wanted, &lease.to_json());
    license.activations[at].last = Digest::of(token.as_bytes());
    license.activations[at].also.clear();
    let plain = Answer::plain(asked.request.req_id, asked.now, kind);
    keep(license, at, asked, Answer { token: Some(token), ..plain }, event)
}

fn give_back(license: &mut License, at: usize, asked: &Asked<'_>, sign: Sign<'_>) -> Outcome {
    let returned = license.activations[at].outstanding();
    license.close(at, returned);
    let activation = &license.activations[at];
    let receipt = Receipt {
        license: license.terms.code.clone(),
        computer_id: activation.computer_id.clone(),
        device: activation.device,
        req_id: asked.request.req_id,
        epoch: activation.epoch,
        returned,
        iat: asked.now,
    };
    let token = Some(sign(Type::ReturnReceipt, &receipt.to_json()));
    let plain = Answer::plain(asked.request.req_id, asked.now, Kind::Returned);
    keep(license, at, asked, Answer { token, returned, ..plain }, "returned")
}

/// Remembers an answer, so that the same question gets it again.
fn keep(
    license: &mut License,
    at: usize,
    asked: &Asked<'_>,
    answer: Answer,
    event: &'static str,
) -> Outcome {
    let (activation, request) = (&mut license.activations[at], asked.request);
    if activation.open {
        activation.ids.insert(request.req_id, license.terms.most_ids());
    } else {
        activation.ids = Seen::default(); // a closed epoch takes no question any more
    }
    activation.kept = Some(Kept { answer: answer.clone() });
    activation.heard = asked.now;
    activation.version.clone_from(&request.version);
    activation.log_head = request.log_head;
    activation.regressions = request.regressions;
    if request.op == Op::Activate {
        activation.user = request.user.clone();
    }
    Outcome { answer, event: Some(event), repeated: false }
}

#[cfg(test)]
pub(super) mod model;

#[cfg(test)]
mod tests;
