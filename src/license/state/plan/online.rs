//! Activation and return over the network.

use super::{Done, Next, Plan, ask, code, last_digits, no_license, save, sync};
use crate::license::error::ApiError;
use crate::license::protocol::fields::license_code;
use crate::license::protocol::message::{Mode, Op, User};
use crate::license::state::entitlement::Phase;
use crate::license::state::record::State;
use crate::license::state::transition::clear_license;

pub(super) fn activate(state: &State, code: &str, user: &User) -> Result<Plan, ApiError> {
    check_code(code)?;
    match &state.phase {
        Phase::OfflineMode => {
            return Err(ApiError::offline(
                "offline_mode",
                "the appliance is in offline mode; leave it with POST license/offlinemode {\"offline\": false}",
            ));
        }
        Phase::OfflineCertificate => {
            return Err(ApiError::offline(
                "offline_mode",
                "the license here was activated with a certificate; give it back with DELETE \
                 license/offlineactivation first",
            ));
        }
        Phase::Online if super::code(state) != code => {
            return Err(ApiError::not_activated(
                "license_present",
                "this appliance already has another license; remove it with DELETE license first",
            ));
        }
        _ => {}
    }
    if let Some(pending) = &state.pending {
        let same = pending.op == Op::Activate && pending.license == code;
        return Ok(Plan::Repeat(if same { Next::Finish } else { Next::PlanAgain }));
    }
    if state.phase == Phase::Online {
        return Ok(sync(state, Mode::Online));
    }
    let mut next = state.clone();
    if matches!(next.phase, Phase::Unlicensed | Phase::Damaged | Phase::Unreadable) {
        next.phase = Phase::Activating;
    }
    let event = format!("license …{} applied by", last_digits(code));
    Ok(ask(Op::Activate, code, Mode::Online, user.clone(), next, event))
}

pub(super) fn remove(state: &State) -> Result<Plan, ApiError> {
    if state.phase.is_offline() {
        let hint = if state.phase == Phase::OfflineCertificate {
            "it was activated with a certificate: give it back with DELETE license/offlineactivation"
        } else {
            "leave offline mode with POST license/offlinemode {\"offline\": false} and make sure that the \
             license service can be reached"
        };
        return Err(ApiError::internal(
            "offline_mode",
            "Cannot remove license in offline mode",
            hint,
        ));
    }
    if let Some(pending) = &state.pending {
        let own = pending.op == Op::Return;
        return Ok(Plan::Repeat(if own { Next::Finish } else { Next::PlanAgain }));
    }
    if state.phase != Phase::Online {
        return discard(state);
    }
    let next = State {
        phase: Phase::Returning,
        // Running sessions can no longer be settled: their reserved seconds count as used.
        totals: state.totals.charge_held(),
        ..state.clone()
    };
    let code = code(state);
    let event = format!("license …{} returned by", last_digits(&code));
    Ok(ask(Op::Return, &code, Mode::Online, User::default(), next, event))
}

/// Discards what remains of a license that is not in force: an unconfirmed activation, a pending
/// activation certificate, a seat that was taken away, or the trace of a damaged file.
pub(super) fn discard(state: &State) -> Result<Plan, ApiError> {
    let State { phase, pending_activation, pending, .. } = state;
    if *phase == Phase::Unlicensed && pending_activation.is_none() && pending.is_none() {
        return Err(no_license("the appliance is not licensed; apply a license with POST license"));
    }
    let abandoned = pending.as_ref().map(|request| request.req_id);
    let mut next = State {
        pending_activation: None,
        pending: None,
        abandoned_activation: abandoned.or(state.abandoned_activation),
        ..state.clone()
    };
    clear_license(&mut next);
    let event = match pending {
        Some(request) => format!(
            "unconfirmed activation of license …{} discarded by; if the license service received it, its seat \
             stays with this computer and is used when the same code is posted again",
            last_digits(&request.license)
        ),
        None => "the rest of a former license was discarded by".to_owned(),
    };
    Ok(save(next, event, Done::returned(0)))
}

pub(super) fn check_code(code: &str) -> Result<(), ApiError> {
    let hint = "a license code has 18 digits: check it, or contact support";
    license_code(code).map(drop).ok_or_else(|| ApiError::not_activated("unknown_license", hint))
}
