//! The effect of an answer of the authority on the state, as pure functions.

use super::clock::ClockReading;
use super::entitlement::Phase;
use super::record::{Grant, State};
use super::sessions::Totals;
use crate::license::protocol::claims::{Lease, Receipt};
use crate::license::protocol::fields::Error;
use crate::license::protocol::hex::Digest;
use crate::license::protocol::message::{Answer, Denial, Kind, Op, Request};
use crate::license::protocol::token::Type;
use crate::license::protocol::trust::{Dates, Trust};

/// The computer and device that a token must be made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) computer_id: &'a str,
    pub(crate) device: Digest,
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Seconds were granted.
    Granted,
    /// So many seconds were returned.
    Returned(u64),
    /// The authority refused: a stable word, its number, and a message.
    Denied { reason: &'static str, code: i64, message: String },
    /// The request was answered long ago.
    Stale,
    /// The answer to a probe.
    Probed,
}

/// The state after `answer` to `request`, which was sent at `sent_at`, in seconds since the machine started.
///
/// # Errors
/// Why the answer is refused, or not available now: nothing changes, and the same request may be sent
/// again.
pub(crate) fn on_answer(
    state: &State,
    request: &Request,
    answer: &Answer,
    who: Identity<'_>,
    trust: &Trust,
    sent_at: u64,
    reading: &ClockReading,
) -> Result<(State, Outcome), Error> {
    if answer.denial == Some(Denial::Unavailable) {
        return Err(Denial::Unavailable.message().into());
    }
    let mut next = state.clone();
    next.clock.correct(answer.server_time, sent_at, reading);
    next.last_contact = answer.server_time;
    if request.op == Op::Probe {
        return Ok((next, Outcome::Probed));
    }
    next.pending = None;
    let outcome = match answer.kind {
        Kind::Lease | Kind::Reset => {
            let grant = lease(request, answer, who, trust)?;
            let new_epoch = answer.kind == Kind::Reset
                || request.op == Op::Activate
                || grant.lease.epoch != state.epoch;
            apply_grant(&mut next, grant, new_epoch);
            if request.op == Op::Activate {
                // A certificate that was signed before has lost its seat to this grant.
                next.pending_activation.take_if(|other| other.request.license == request.license);
            }
            next.phase = Phase::Online;
            Outcome::Granted
        }
        Kind::Returned => {
            let receipt = receipt(request, answer, who, trust)?;
            next.epoch = receipt.epoch;
            let returned = receipt.returned.unsigned_abs();
            clear_license(&mut next);
            Outcome::Returned(returned)
        }
        // The authority does not know the license, so there is nothing to return.
        Kind::Denied if request.op == Op::Return && is_unknown(answer) => {
            clear_license(&mut next);
            Outcome::Returned(0)
        }
        Kind::Denied => {
            next.phase = after_denial(&state.phase, request.op, answer);
            if request.op == Op::Sync && answer.denial != Some(Denial::TooManyTries) {
                next.is_unknown = is_unknown(answer);
            }
            let reason = answer.denial.map_or("denied", Denial::name);
            Outcome::Denied { reason, code: answer.code, message: answer.message.clone() }
        }
        Kind::Stale => {
            next.phase = match state.phase {
                Phase::Activating => Phase::Unlicensed,
                Phase::Returning => {
                    clear_license(&mut next);
                    Phase::Unlicensed
                }
                // The machine was reset to an earlier state; the next request corrects that.
                Phase::Online => Phase::Online,
                _ => Phase::Refused(-117),
            };
            Outcome::Stale
        }
        Kind::Probe => return Err("it answers another kind of request".into()),
    };
    Ok((next, outcome))
}

/// The state after a license certificate that was verified and made for this appliance.
pub(crate) fn on_certificate(state: &State, grant: Grant, reading: &ClockReading) -> State {
    let mut next = state.clone();
    next.clock.observe_date(grant.lease.iat, reading);
    let new_epoch = state.phase != Phase::OfflineCertificate || grant.lease.epoch != state.epoch;
    apply_grant(&mut next, grant, new_epoch);
    next.phase = Phase::OfflineCertificate;
    next.pending_activation = None;
    next.pending = None;
    next
}

/// The state after a request that certainly was not delivered, and `before` which it was saved. Restores
/// only what the request changed, because sessions went on meanwhile.
pub(crate) fn not_delivered(state: &State, before: State) -> State {
    let totals = if before.epoch == state.epoch { state.totals } else { before.totals };
    State { totals, log: state.log, clock: state.clock.clone(), ..before }
}

fn apply_grant(next: &mut State, grant: Grant, new_epoch: bool) {
    let granted = grant.lease.granted.unsigned_abs();
    // Seconds reserved before the new epoch were charged when the old one ended.
    let kept = if new_epoch { Totals::default() } else { next.totals };
    next.totals = Totals { granted, ..kept };
    next.epoch = grant.lease.epoch;
    next.is_unknown = false;
    next.returned = None; // belongs to the previous license
    next.abandoned_activation = None; // replaced by this grant
    next.grant = Some(grant);
}

/// Removes the license; only the epoch and the clock remain.
pub(crate) fn clear_license(next: &mut State) {
    next.phase = Phase::Unlicensed;
    next.grant = None;
    next.is_unknown = false;
    next.totals = Totals::default();
}

/// Whether the authority does not know a license that it granted: its data was restored from an older
/// backup, or it is a standby that lags behind. The license was not withdrawn, so it lasts as signed.
fn is_unknown(answer: &Answer) -> bool {
    answer.denial == Some(Denial::UnknownLicense)
}

fn after_denial(phase: &Phase, op: Op, answer: &Answer) -> Phase {
    match (op, answer.code) {
        (Op::Activate, _) if *phase == Phase::Activating => Phase::Unlicensed,
        (Op::Activate | Op::Probe, _) => phase.clone(),
        (_, -114 | -116 | -117) => Phase::Refused(answer.code),
        (Op::Return, _) => Phase::Online,
        (Op::Sync, _) => phase.clone(),
    }
}

fn lease(
    request: &Request,
    answer: &Answer,
    who: Identity<'_>,
    trust: &Trust,
) -> Result<Grant, Error> {
    let token = answer.token.clone().ok_or("it contains no token")?;
    let payload = trust
        .verify(Type::Lease, &token, Dates::At(answer.server_time))
        .map_err(|error| error.to_string())?;
    let lease = Lease::from_json(&payload)?;
    ensure(lease.license == request.license, "license")?;
    ensure(lease.computer_id == who.computer_id, "computer")?;
    ensure(lease.device == who.device, "device")?;
    ensure(lease.req_id == request.req_id, "request")?;
    Ok(Grant { kind: Type::Lease, token, lease })
}

fn receipt(
    request: &Request,
    answer: &Answer,
    who: Identity<'_>,
    trust: &Trust,
) -> Result<Receipt, Error> {
    let token = answer.token.as_deref().ok_or("it contains no token")?;
    let payload = trust
        .verify(Type::ReturnReceipt, token, Dates::At(answer.server_time))
        .map_err(|error| error.to_string())?;
    let receipt = Receipt::from_json(&payload)?;
    ensure(receipt.license == request.license, "license")?;
    ensure(receipt.computer_id == who.computer_id, "computer")?;
    ensure(receipt.device == who.device, "device")?;
    ensure(receipt.req_id == request.req_id, "request")?;
    Ok(receipt)
}

fn ensure(holds: bool, what: &str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(format!("its token is for another {what}").into()) }
}

#[cfg(test)]
mod tests;
