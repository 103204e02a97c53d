//! The one function that moves seconds: it applies an appliance's request to the accounts of a license.
//!
//! It does no I/O: the caller has opened the request, checked the device's signature, holds the license's
//! lock, and writes the license to disk before the answer leaves.
//!
//! A repeated request changes nothing. An answered request is recognized by its id, one of an older epoch
//! by its epoch. The ids of denied requests and of activations are kept for good, because nothing else in
//! them shows that they are old. A *new* request that does not continue the last answer means that the
//! appliance is a copy or was restored: what it held is charged, and a new epoch begins. That takes the
//! device's key, so an attacker on the network can't cause it.

use serde_json::{Value, json};

use crate::license::protocol::claims::Receipt;
use crate::license::protocol::hex::Digest;
use crate::license::protocol::key::KeyId;
use crate::license::protocol::message::{Answer, Denial, Kind, Mode, Op, Request};
use crate::license::protocol::token::{Type, Unverified};

use super::license::{Activation, FREE_MOVES, License, MONTH, Status};
use super::replay_ids::ReplayIds;

/// Activations of one license, ever. Each is entered by a person.
const MAX_ACTIVATIONS: usize = 100_000;

/// Denied requests of one license that are remembered.
const MAX_REFUSALS: usize = 1_000;

/// A question with what the service knows about it.
pub(crate) struct Context<'a> {
    pub(crate) request: &'a Request,
    /// Fingerprint of the device key that signed it.
    pub(crate) device: Digest,
    /// Whether it came in a certificate and is answered with one.
    pub(crate) by_certificate: bool,
    /// Whether too many wrong codes came from its address.
    pub(crate) rate_limited: bool,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// The bundle for an answer in a certificate, if the appliance's is older.
    pub(crate) bundle: Option<&'a str>,
    /// Keys whose signatures appliances no longer accept.
    pub(crate) revoked: &'a [KeyId],
}

/// The answer to a request, and what changed.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// What happened to the license, for its audit log; `None` if nothing did.
    pub(crate) event: Option<&'static str>,
    /// Whether the request came before, so that it moved no seconds now.
    pub(crate) repeated: bool,
}

/// Signs a payload as a token of that type.
pub(crate) type Sign<'a> = &'a dyn Fn(Type, &Value) -> String;

/// Answers a request, and moves seconds accordingly.
pub(crate) fn process(license: &mut License, context: &Context<'_>, sign: Sign<'_>) -> Outcome {
    if let Some(answer) = answered_before(license, context) {
        let renewed = sign_again(license, context, sign, &answer);
        let event = renewed.is_some().then_some("signed again");
        let answer = renewed.unwrap_or(answer);
        let answer = Answer { server_time: context.now, ..answer };
        return Outcome { answer, event, repeated: true };
    }
    let outcome = match context.request.op {
        _ if context.rate_limited && !license.has_held(&context.device) => {
            let remember = context.request.op == Op::Activate;
            Err(Denied { denial: Denial::TooManyTries, remember })
        }
        Op::Activate => activate(license, context, sign),
        Op::Sync | Op::Return => sync_or_return(license, context, sign),
        Op::Probe => {
            let answer = Answer::plain(context.request.req_id, context.now, Kind::Probe);
            return Outcome { answer, event: None, repeated: false };
        }
    };
    outcome.unwrap_or_else(|Denied { denial, remember }| {
        let event = remember.then(|| remember_denial(license, context, denial));
        let answer = license.denied(context.request, context.now, denial);
        Outcome { answer, event, repeated: false }
    })
}

/// The answer to a request that came before.
fn answered_before(license: &License, context: &Context<'_>) -> Option<Answer> {
    let id = context.request.req_id;
    let known = license.activations.iter().find(|activation| activation.device == context.device);
    let last = known.and_then(|activation| activation.last_answer.as_ref());
    if let Some(answer) = last.filter(|answer| answer.req_id == id) {
        return Some(answer.clone());
    }
    if let Some((_, denial)) = license.refused.iter().find(|(refused, _)| *refused == id) {
        return Some(license.denied(context.request, context.now, *denial));
    }
    let answered = known.is_some_and(|activation| activation.ids.contains(id));
    let activated = context.request.op == Op::Activate && license.activated.contains(id);
    (answered || activated).then(|| Answer::plain(id, context.now, Kind::Stale))
}

/// Signs a repeated answer again, if the key of its old signature was revoked since.
///
/// An attacker may have replayed the request, so the appliance may continue from either signature.
fn sign_again(
    license: &mut License,
    context: &Context<'_>,
    sign: Sign<'_>,
    answer: &Answer,
) -> Option<Answer> {
    let old = Unverified::parse(answer.token.as_deref()?)?;
    if !context.revoked.contains(&old.kid) {
        return None;
    }
    let mut payload = old.unverified_payload()?;
    let kind = match (answer.kind, context.by_certificate) {
        (Kind::Returned, _) => Type::ReturnReceipt,
        (_, true) => Type::LicenseCertificate,
        (_, false) => Type::Lease,
    };
    if let Some(bundle) = context.bundle.filter(|_| kind == Type::LicenseCertificate) {
        payload["bundle"] = bundle.into();
    }
    let token = sign(kind, &payload);
    let activation = license.activations.iter_mut().find(|a| a.device == context.device)?;
    if kind != Type::ReturnReceipt {
        activation.reissued.push(activation.last);
        activation.last = Digest::of(token.as_bytes());
    }
    let answer = Answer { token: Some(token), ..answer.clone() };
    activation.last_answer = Some(answer.clone());
    Some(answer)
}

struct Denied {
    denial: Denial,
    /// Whether the same request could succeed later.
    remember: bool,
}

/// A denial that need not be remembered, because the accounts lead to it again.
const DUPLICATE: Denied = Denied { denial: Denial::Duplicate, remember: false };

fn remember_denial(license: &mut License, context: &Context<'_>, denial: Denial) -> &'static str {
    license.refused.push((context.request.req_id, denial));
    let beyond = license.refused.len().saturating_sub(MAX_REFUSALS);
    license.refused.drain(..beyond);
    "refused"
}

/// Checks that the license may grant seconds now.
fn check_grantable(license: &License, context: &Context<'_>) -> Result<(), Denied> {
    let denial = match license.status {
        Status::Revoked => Denial::Revoked,
        Status::Suspended => Denial::Suspended,
        Status::Active if context.now >= license.terms.end() => Denial::Expired,
        Status::Active if context.request.mode == Mode::Offline && !license.terms.offline => {
            Denial::OfflineNotAllowed
        }
        Status::Active => return Ok(()),
    };
    Err(Denied { denial, remember: true })
}

/// Takes a free seat, or the one that this computer or this device holds already.
fn activate(
    license: &mut License,
    context: &Context<'_>,
    sign: Sign<'_>,
) -> Result<Outcome, Denied> {
    let request = context.request;
    let refused = |denial| Err(Denied { denial, remember: true });
    if request.product != license.terms.product {
        return Err(Denied { denial: Denial::UnknownLicense, remember: false });
    }
    check_grantable(license, context)?;
    if license.activated.len() >= MAX_ACTIVATIONS {
        return refused(Denial::ActivationsExceeded);
    }
    let own = |activation: &Activation| {
        activation.open
            && (activation.device == context.device
                || activation.computer_id == request.computer_id)
    };
    let held: Vec<usize> =
        (0..license.activations.len()).filter(|at| own(&license.activations[*at])).collect();
    let mut event = "activated";
    match held[..] {
        [] if license.open_activations().count()
            >= usize::try_from(license.terms.seats).unwrap_or(0) =>
        {
            return refused(Denial::ActivationsExceeded);
        }
        [] => {}
        // The accounts continue from the last answer, so nothing is charged.
        [at] if continues(&license.activations[at], context) => {
            license.activations[at].consumed = request.consumed;
            let unused = license.activations[at].outstanding();
            license.close(at, unused);
        }
        _ => {
            license.takeovers.retain(|(time, _)| context.now.saturating_sub(*time) < MONTH);
            if license.next_takeover(&request.computer_id, context.now).is_some() {
                return refused(Denial::TooManyTakeovers);
            }
            license.takeovers.push((context.now, request.computer_id.clone()));
            held.into_iter().for_each(|at| license.close(at, 0));
            event = "taken over";
        }
    }
    license.activated.insert(request.req_id, MAX_ACTIVATIONS);
    // The replaced request, if it arrived late or were replayed, would take the seat again.
    if let Some(other) = request.instead_of.filter(|id| !license.activated.contains(*id)) {
        license.activated.insert(other, MAX_ACTIVATIONS);
    }
    let at = open_epoch(license, context);
    Ok(lease(license, at, context, Kind::Lease, sign, event))
}

fn continues(activation: &Activation, context: &Context<'_>) -> bool {
    activation.device == context.device
        && activation.computer_id == context.request.computer_id
        && activation.continues_with(context.request)
}

/// Grants more seconds, or takes all of them back.
fn sync_or_return(
    license: &mut License,
    context: &Context<'_>,
    sign: Sign<'_>,
) -> Result<Outcome, Denied> {
    let request = context.request;
    let known = license.activations.iter().position(|a| a.device == context.device && a.open);
    let at = known.filter(|at| license.activations[*at].epoch == request.epoch).ok_or(DUPLICATE)?;
    let activation = &license.activations[at];
    // Its id may have been forgotten, so it can't be told from a replayed request.
    let remembered = i64::try_from(license.terms.max_ids()).unwrap_or(i64::MAX);
    if request.seq + remembered <= activation.seq {
        return Err(DUPLICATE);
    }
    let moved = activation.computer_id != request.computer_id;
    if moved && !may_move(license, at, context) {
        return Err(DUPLICATE);
    }
    if request.op == Op::Sync {
        check_grantable(license, context)?;
        if context.by_certificate && request.consumed < license.activations[at].consumed {
            return Err(Denied { denial: Denial::WentBack, remember: true });
        }
    }
    if moved {
        let activation = &mut license.activations[at];
        activation.computer_id.clone_from(&request.computer_id);
        activation.moves.push(context.now);
    }
    if !license.activations[at].continues_with(request) {
        license.close(at, 0);
        let at = open_epoch(license, context);
        return Ok(lease(license, at, context, Kind::Reset, sign, "reset"));
    }
    license.activations[at].consumed = request.consumed;
    if request.op == Op::Return {
        return Ok(return_seconds(license, at, context, sign));
    }
    let missing = target(license, request) - license.activations[at].outstanding();
    license.activations[at].granted += license.balance.take(missing);
    Ok(lease(license, at, context, Kind::Lease, sign, if moved { "moved" } else { "synced" }))
}

/// Whether a device key may appear in another computer: a machine may be moved `FREE_MOVES` times a month.
fn may_move(license: &License, at: usize, context: &Context<'_>) -> bool {
    let (activation, request) = (&license.activations[at], context.request);
    let recent = activation.moves.iter().filter(|time| context.now.saturating_sub(**time) < MONTH);
    request.prev_computer_id.as_ref() == Some(&activation.computer_id)
        && recent.count() < FREE_MOVES
        && !license.open_activations().any(|other| other.computer_id == request.computer_id)
}

/// The seconds that this appliance should hold after the answer, if as many are left.
fn target(license: &License, request: &Request) -> i64 {
    match (request.op, request.mode) {
        (Op::Return | Op::Probe, _) => 0,
        (_, Mode::Online) => request.want.min(license.terms.cache),
        (_, Mode::Offline) => request.want.min(license.terms.offline_secs),
    }
}

/// Opens an epoch for the device in place of its last one, with new seconds; returns its index.
fn open_epoch(license: &mut License, context: &Context<'_>) -> usize {
    let request = context.request;
    let granted = license.balance.take(target(license, request));
    let known = license.activations.iter().position(|a| a.device == context.device);
    let last = known.map(|at| &license.activations[at]);
    let fresh = Activation {
        device: context.device,
        computer_id: request.computer_id.clone(),
        open: true,
        epoch: last.map_or(0, |last| last.epoch) + 1,
        seq: 0,
        last: Digest::NONE,
        reissued: Vec::new(),
        granted,
        consumed: 0,
        ids: ReplayIds::default(),
        last_answer: None,
        moves: last.map_or(Vec::new(), |last| last.moves.clone()),
        offline: false,
        last_contact: context.now,
        version: String::new(),
        log_head: Digest::NONE,
        regressions: 0,
        user: last.map_or_else(Default::default, |last| last.user.clone()),
    };
    let at = known.unwrap_or(license.activations.len());
    match license.activations.get_mut(at) {
        Some(activation) => *activation = fresh,
        None => license.activations.push(fresh),
    }
    at
}

fn lease(
    license: &mut License,
    at: usize,
    context: &Context<'_>,
    kind: Kind,
    sign: Sign<'_>,
    event: &'static str,
) -> Outcome {
    let activation = &mut license.activations[at];
    activation.seq += 1;
    activation.offline = context.request.mode == Mode::Offline;
    let mut lease = license.lease(&license.activations[at], context.request.req_id, context.now);
    lease.bundle = context.bundle.filter(|_| context.by_certificate).map(str::to_owned);
    let wanted = if context.by_certificate { Type::LicenseCertificate } else { Type::Lease };
    let token = sign(wanted, &lease.to_json());
    license.activations[at].last = Digest::of(token.as_bytes());
    license.activations[at].reissued.clear();
    let plain = Answer::plain(context.request.req_id, context.now, kind);
    remember_answer(license, at, context, Answer { token: Some(token), ..plain }, event)
}

fn return_seconds(
    license: &mut License,
    at: usize,
    context: &Context<'_>,
    sign: Sign<'_>,
) -> Outcome {
    let returned = license.activations[at].outstanding();
    license.close(at, returned);
    let activation = &license.activations[at];
    let receipt = Receipt {
        license: license.terms.code.clone(),
        computer_id: activation.computer_id.clone(),
        device: activation.device,
        req_id: context.request.req_id,
        epoch: activation.epoch,
        returned,
        iat: context.now,
    };
    let token = Some(sign(Type::ReturnReceipt, &json!(receipt)));
    let plain = Answer::plain(context.request.req_id, context.now, Kind::Returned);
    remember_answer(license, at, context, Answer { token, returned, ..plain }, "returned")
}

/// Remembers an answer for a retry of its request.
fn remember_answer(
    license: &mut License,
    at: usize,
    context: &Context<'_>,
    answer: Answer,
    event: &'static str,
) -> Outcome {
    let (activation, request) = (&mut license.activations[at], context.request);
    if activation.open {
        activation.ids.insert(request.req_id, license.terms.max_ids());
    } else {
        activation.ids = ReplayIds::default(); // a closed epoch accepts no request
    }
    activation.last_answer = Some(answer.clone());
    activation.last_contact = context.now;
    activation.version.clone_from(&request.version);
    activation.log_head = request.log_head;
    activation.regressions = request.clock.regressions;
    if request.op == Op::Activate {
        activation.user = request.user.clone();
    }
    Outcome { answer, event: Some(event), repeated: false }
}

#[cfg(test)]
pub(super) mod model;

#[cfg(test)]
mod tests;
