//! The one function that moves seconds: it applies an appliance's request to the accounts of a license.
//!
//! It does no I/O: the caller has opened the request, checked the device's signature, loaded the
//! [accounts](super::accounts), and makes their change durable before the answer leaves.
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

use super::accounts::Accounts;
use super::idle_seats::{IdleSeats, Room, make_room};
use super::license::{License, Status};
use super::replay_ids::ReplayIds;
use super::seat::{FREE_MOVES, MONTH, Seat};

/// Activations of one license, ever. Each is entered by a person.
const MAX_ACTIVATIONS: i64 = 100_000;

/// Activations of one device, ever.
const MAX_ACTIVATIONS_OF_DEVICE: usize = 2_000;

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
    /// Seats that may be freed for an activation.
    pub(crate) idle: IdleSeats<'a>,
}

/// The answer to a request, and what changed.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// What happened to the license, for its audit log; `None` if nothing did.
    pub(crate) event: Option<&'static str>,
    /// Whether the request came before, so that it moved no seconds now.
    pub(crate) repeated: bool,
    /// Whether another appliance lost its seat for this one.
    pub(crate) room: Room,
}

/// Signs a payload as a token of that type.
pub(crate) type Sign<'a> = &'a dyn Fn(Type, &Value) -> String;

/// Answers a request, and moves seconds accordingly.
pub(crate) fn process(accounts: &mut Accounts, context: &Context<'_>, sign: Sign<'_>) -> Outcome {
    if let Some(answer) = answered_before(accounts, context) {
        let renewed = sign_again(accounts, context, sign, &answer);
        let event = renewed.is_some().then_some("signed again");
        let answer = renewed.unwrap_or(answer);
        let answer = Answer { server_time: context.now, ..answer };
        return Outcome { answer, event, repeated: true, room: Room::None };
    }
    let outcome = match context.request.op {
        _ if context.rate_limited && !accounts.seats.contains_key(&context.device) => {
            // Not remembered: what is written only for a code that exists would tell a guesser by the time.
            Err(Denied { denial: Denial::TooManyTries, remember: false })
        }
        Op::Activate => activate(accounts, context, sign),
        Op::Sync | Op::Return => sync_or_return(accounts, context, sign),
        Op::Probe => {
            let answer = Answer::plain(context.request.req_id, context.now, Kind::Probe);
            return Outcome { answer, event: None, repeated: false, room: Room::None };
        }
    };
    outcome.unwrap_or_else(|Denied { denial, remember }| {
        if remember {
            accounts.remember_refused(&context.device, context.request, denial);
        }
        let answer = accounts.denied(context.request, context.now, denial);
        let event = remember.then_some("refused");
        Outcome { answer, event, repeated: false, room: Room::None }
    })
}

/// The answer to a request that came before.
fn answered_before(accounts: &Accounts, context: &Context<'_>) -> Option<Answer> {
    let (device, request) = (&context.device, context.request);
    let id = request.req_id;
    let last = accounts.seats.get(device).and_then(|seat| seat.last_answer.as_ref());
    if let Some(answer) = last.filter(|answer| answer.req_id == id) {
        return Some(answer.clone());
    }
    if let Some(denial) = accounts.denial_of(device, id) {
        return Some(accounts.denied(request, context.now, denial));
    }
    let stale = || Answer::plain(id, context.now, Kind::Stale);
    accounts.has_answered(device, request).then(stale)
}

/// Signs a repeated answer again, if the key of its old signature was revoked since.
///
/// An attacker may have replayed the request, so the appliance may continue from either signature.
fn sign_again(
    accounts: &mut Accounts,
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
    let seat = accounts.seats.get_mut(&context.device)?;
    if kind != Type::ReturnReceipt {
        seat.reissued.push(seat.last);
        seat.last = Digest::of(token.as_bytes());
    }
    let answer = Answer { token: Some(token), ..answer.clone() };
    seat.last_answer = Some(answer.clone());
    Some(answer)
}

struct Denied {
    denial: Denial,
    /// Whether the same request could succeed later.
    remember: bool,
}

/// A denial that need not be remembered, because the accounts lead to it again.
const DUPLICATE: Denied = Denied { denial: Denial::Duplicate, remember: false };

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
    accounts: &mut Accounts,
    context: &Context<'_>,
    sign: Sign<'_>,
) -> Result<Outcome, Denied> {
    let (request, device) = (context.request, &context.device);
    let refused = |denial| Err(Denied { denial, remember: true });
    if request.product != accounts.license.terms.product {
        return Err(Denied { denial: Denial::UnknownLicense, remember: false });
    }
    check_grantable(&accounts.license, context)?;
    let activated = accounts.seats.get(device).map_or(0, |seat| seat.activated.len());
    if accounts.license.sums.activations >= MAX_ACTIVATIONS
        || activated >= MAX_ACTIVATIONS_OF_DEVICE
    {
        return refused(Denial::ActivationsExceeded);
    }
    let own = accounts.open_seat(device).map(|seat| seat.device);
    let of_computer = accounts.holder(&request.computer_id).filter(|holder| holder != device);
    let (mut event, mut room) = ("activated", Room::None);
    match (own, of_computer) {
        (None, None) if accounts.license.sums.open >= accounts.license.terms.seats => {
            room = make_room(accounts, context.idle);
            let denial = Denial::ActivationsExceeded;
            match room {
                Room::Freed(_) => {}
                Room::None => return refused(denial),
                Room::Unknown => {
                    let answer = accounts.denied(request, context.now, denial);
                    return Ok(Outcome { answer, event: None, repeated: false, room });
                }
            }
        }
        (None, None) => {}
        // The accounts continue from the last answer, so nothing is charged.
        (Some(_), None) if continues(accounts, context) => {
            accounts.settle(device, request.consumed, 0);
            let unused = accounts.seats.get(device).map_or(0, Seat::outstanding);
            accounts.close(device, unused);
        }
        _ => {
            let computer = accounts.computers.entry(request.computer_id.clone()).or_default();
            if computer.next_takeover(context.now).is_some() {
                return refused(Denial::TooManyTakeovers);
            }
            computer.take_over(context.now);
            accounts.license.sums.takeovers += 1;
            own.iter().chain(&of_computer).for_each(|device| accounts.close(device, 0));
            event = "taken over";
        }
    }
    accounts.license.sums.activations += 1;
    open_epoch(accounts, context);
    Ok(Outcome { room, ..lease(accounts, context, Kind::Lease, sign, event) })
}

fn continues(accounts: &Accounts, context: &Context<'_>) -> bool {
    accounts.seats.get(&context.device).is_some_and(|seat| {
        seat.computer_id == context.request.computer_id && seat.continues_with(context.request)
    })
}

/// Grants more seconds, or takes all of them back.
fn sync_or_return(
    accounts: &mut Accounts,
    context: &Context<'_>,
    sign: Sign<'_>,
) -> Result<Outcome, Denied> {
    let (request, device) = (context.request, &context.device);
    let seat = accounts.open_seat(device).filter(|seat| seat.epoch == request.epoch);
    let seat = seat.ok_or(DUPLICATE)?;
    let moved = seat.computer_id != request.computer_id;
    if moved && !may_move(accounts, seat, context) {
        return Err(DUPLICATE);
    }
    if request.op == Op::Sync {
        check_grantable(&accounts.license, context)?;
        if context.by_certificate && request.consumed < seat.consumed {
            return Err(Denied { denial: Denial::WentBack, remember: true });
        }
    }
    let continues = seat.continues_with(request);
    if moved {
        accounts.move_to(device, &request.computer_id, context.now);
    }
    if !continues {
        accounts.close(device, 0);
        open_epoch(accounts, context);
        return Ok(lease(accounts, context, Kind::Reset, sign, "reset"));
    }
    accounts.settle(device, request.consumed, 0);
    if request.op == Op::Return {
        return Ok(return_seconds(accounts, context, sign));
    }
    let held = accounts.seats.get(device).map_or(0, Seat::outstanding);
    let missing = target(&accounts.license, request) - held;
    accounts.settle(device, request.consumed, missing);
    Ok(lease(accounts, context, Kind::Lease, sign, if moved { "moved" } else { "synced" }))
}

/// Whether a device key may appear in another computer: a machine may be moved `FREE_MOVES` times a month.
fn may_move(accounts: &Accounts, seat: &Seat, context: &Context<'_>) -> bool {
    let recent = seat.moves.iter().filter(|time| context.now.saturating_sub(**time) < MONTH);
    context.request.prev_computer_id.as_ref() == Some(&seat.computer_id)
        && recent.count() < FREE_MOVES
        && accounts.holder(&context.request.computer_id).is_none()
}

/// The seconds that this appliance should hold after the answer, if as many are left.
fn target(license: &License, request: &Request) -> i64 {
    match (request.op, request.mode) {
        (Op::Return | Op::Probe, _) => 0,
        (_, Mode::Online) => request.want.min(license.terms.cache),
        (_, Mode::Offline) => request.want.min(license.terms.offline_secs),
    }
}

/// Opens an epoch for the device in place of its last one, with new seconds.
fn open_epoch(accounts: &mut Accounts, context: &Context<'_>) {
    let (request, device) = (context.request, context.device);
    let granted = accounts.license.balance.take(target(&accounts.license, request));
    let last = accounts.seats.remove(&device);
    let last = last.as_ref();
    let mut activated = last.map_or_else(ReplayIds::default, |last| last.activated.clone());
    if request.op == Op::Activate {
        activated.push(request.req_id);
        // The replaced request, if it arrived late or were replayed, would take the seat again.
        request.instead_of.into_iter().for_each(|id| activated.push(id));
    }
    accounts.open(Seat {
        device,
        computer_id: request.computer_id.clone(),
        open: true,
        epoch: last.map_or(0, |last| last.epoch) + 1,
        seq: 0,
        last: Digest::NONE,
        reissued: Vec::new(),
        granted,
        consumed: 0,
        opened_by: ReplayIds::of(request.req_id),
        answered: ReplayIds::default(),
        activated,
        refused: last.map_or_else(Vec::new, |last| last.refused.clone()),
        last_answer: None,
        moves: last.map_or_else(Vec::new, |last| last.moves.clone()),
        offline: false,
        last_contact: context.now,
        version: String::new(),
        log_head: Digest::NONE,
        regressions: 0,
        user: last.map_or_else(Default::default, |last| last.user.clone()),
    });
}

/// Grants the lease that matches the accounts of the device's seat.
fn lease(
    accounts: &mut Accounts,
    context: &Context<'_>,
    kind: Kind,
    sign: Sign<'_>,
    event: &'static str,
) -> Outcome {
    let plain = Answer::plain(context.request.req_id, context.now, kind);
    let Some(seat) = accounts.seats.get_mut(&context.device) else {
        return Outcome { answer: plain, event: None, repeated: false, room: Room::None };
    };
    seat.seq += 1;
    seat.offline = context.by_certificate || context.request.mode == Mode::Offline;
    if !seat.offline {
        let end = accounts.license.lease_end_of(context.now);
        accounts.license.first_end = accounts.license.first_end.min(end);
    }
    let mut lease = accounts.license.lease(seat, context.request.req_id, context.now);
    lease.bundle = context.bundle.filter(|_| context.by_certificate).map(str::to_owned);
    let wanted = if context.by_certificate { Type::LicenseCertificate } else { Type::Lease };
    let token = sign(wanted, &lease.to_json());
    seat.last = Digest::of(token.as_bytes());
    seat.reissued.clear();
    remember_answer(accounts, context, Answer { token: Some(token), ..plain }, event)
}

fn return_seconds(accounts: &mut Accounts, context: &Context<'_>, sign: Sign<'_>) -> Outcome {
    let device = context.device;
    let seat = accounts.seats.get(&device);
    let (returned, epoch) = seat.map_or((0, 0), |seat| (seat.outstanding(), seat.epoch));
    accounts.close(&device, returned);
    let receipt = Receipt {
        license: accounts.license.terms.code.clone(),
        computer_id: context.request.computer_id.clone(),
        device,
        req_id: context.request.req_id,
        epoch,
        returned,
        iat: context.now,
    };
    let token = Some(sign(Type::ReturnReceipt, &json!(receipt)));
    let plain = Answer::plain(context.request.req_id, context.now, Kind::Returned);
    remember_answer(accounts, context, Answer { token, returned, ..plain }, "returned")
}

/// Remembers an answer for a retry of its request.
fn remember_answer(
    accounts: &mut Accounts,
    context: &Context<'_>,
    answer: Answer,
    event: &'static str,
) -> Outcome {
    let request = context.request;
    accounts.license.last_contact = context.now;
    if let Some(seat) = accounts.seats.get_mut(&context.device) {
        let full = seat.open.then(|| seat.remember_answered(request.req_id)).flatten();
        if !seat.open {
            // A closed epoch accepts no request.
            (seat.opened_by, seat.answered) = Default::default();
        }
        seat.last_answer = Some(answer.clone());
        seat.last_contact = context.now;
        seat.version.clone_from(&request.version);
        seat.log_head = request.log_head;
        seat.regressions = request.clock.regressions;
        if request.op == Op::Activate {
            seat.user = request.user.clone();
        }
        accounts.answered.extend(full);
    }
    Outcome { answer, event: Some(event), repeated: false, room: Room::None }
}

#[cfg(test)]
pub(super) mod model;

#[cfg(test)]
mod tests;
