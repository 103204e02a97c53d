//! Offline mode: a license that was activated online is used without the license service.

use super::{Done, Failure, Next, Plan, denied, save, sync};
use crate::license::error::ApiError;
use crate::license::protocol::message::Mode;
use crate::license::state::entitlement::Phase;
use crate::license::state::record::State;
use crate::license::state::transition::Outcome;

pub(super) fn enter(state: &State) -> Result<Plan, ApiError> {
    match &state.phase {
        Phase::OfflineMode | Phase::OfflineCertificate => Ok(Plan::Answer(Done::Document)),
        Phase::Online if allows_offline(state) => match &state.pending {
            // It asks for the seconds of an online appliance, so it has to be answered first.
            Some(pending) if pending.mode == Mode::Online => Ok(Plan::Repeat(Next::PlanAgain)),
            // For all seconds that may be used offline.
            _ => Ok(sync(state, Mode::Offline)),
        },
        _ => Err(offline_not_enabled()),
    }
}

/// If the last request failed, the cached seconds must suffice.
pub(super) fn entered(state: &State, result: Result<Outcome, Failure>) -> Result<Plan, ApiError> {
    let (stale, unreachable) = match result {
        Ok(Outcome::Denied { reason: "offline_not_allowed", .. }) => {
            return Err(offline_not_enabled());
        }
        Ok(outcome @ Outcome::Denied { .. }) => {
            return Err(denied(outcome, "Unable to go offline"));
        }
        Err(Failure { unreachable: false, error }) => return Err(error),
        Ok(_) if !allows_offline(state) => return Err(offline_not_enabled()),
        Ok(outcome) => (outcome == Outcome::Stale, false),
        Err(_) => (false, true),
    };
    // In any other case, only a license in force can be taken offline.
    if stale || state.phase != Phase::Online {
        return Err(ApiError::internal(
            "stale",
            "Unable to go offline: 0",
            "the license service answered an outdated request; try again",
        ));
    }
    let done = if unreachable {
        Done::DocumentWith(format!(
            "the license service was not reached; {} seconds are cached for offline use",
            state.totals.allowed()
        ))
    } else {
        Done::Document
    };
    let next = State { phase: Phase::OfflineMode, ..state.clone() };
    Ok(save(next, "offline mode entered by".to_owned(), done))
}

pub(super) fn leave(state: &State) -> Result<Plan, ApiError> {
    match &state.phase {
        Phase::OfflineMode => {
            let state = State { phase: Phase::Online, ..state.clone() };
            let then = Box::new(sync(&state, Mode::Online));
            let event = "offline mode left by".to_owned();
            Ok(Plan::Save { state: Box::new(state), event, then })
        }
        Phase::OfflineCertificate => Err(ApiError::internal(
            "activated_with_certificate",
            "License was activated with a certificate",
            "it works without the license service; renew it with a new activation certificate",
        )),
        // Without a license there is no offline mode to leave.
        _ => Ok(Plan::Answer(Done::Document)),
    }
}

fn allows_offline(state: &State) -> bool {
    state.grant.as_ref().is_some_and(|grant| grant.lease.offline_mode)
}

fn offline_not_enabled() -> ApiError {
    ApiError::internal(
        "offline_mode_not_enabled",
        "Offline mode not enabled for this license",
        "this license does not allow it; contact your vendor",
    )
}
