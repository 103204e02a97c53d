//! Who may start what in which state of the license, as pure functions.
//!
//! [`plan`] says what an action of an administrator needs, and [`after`] what follows when its request to
//! the authority has ended. Neither does I/O: the worker carries a [`Plan`] out. In between,
//! [`super::transition`] applies the answer of the authority. The first row that fits counts.
//!
//! | action | state | what happens |
//! | --- | --- | --- |
//! | activate | not a license code | refused, `unknown_license` |
//! | | offline mode, or activated with a certificate | refused, `offline_mode` |
//! | | online with another code | refused, `license_present` |
//! | | this activation is pending | it is sent again; its answer decides |
//! | | another request is pending | that is sent again; once answered, planned again |
//! | | online with this code | asks for a sync: the document, also if unreachable while in force |
//! | | any other | asks for an activation; with no license, the phase is "activating" until then |
//! | remove | offline mode, or activated with a certificate | refused, `offline_mode` |
//! | | the return is pending | it is sent again; its answer decides |
//! | | an activation is pending | that is sent again; answered, planned again; unreachable, discarded |
//! | | a sync is pending | that is sent again; once answered, planned again |
//! | | online | "returning", asks for the return: the seconds that it returned |
//! | | no license, and nothing that waits | refused, `no_license` |
//! | | any other | the rest of the license is discarded: 0 seconds |
//! | request a certificate | not a license code | refused, `unknown_license` |
//! | | one with this code waits | the same certificate |
//! | | one with another code waits | refused, `certificate_request_pending` |
//! | | activated with a certificate, same code | makes the certificate of a renewal |
//! | | a license in force | refused, `license_present` |
//! | | a request is pending, not this activation | refused, `online_call_pending` |
//! | | any other | makes the activation certificate |
//! | apply a certificate | this certificate is in force | the document; nothing is added |
//! | | it does not answer the waiting request | refused: see [`verified`] |
//! | | online or in offline mode with another code | refused, `license_present` |
//! | | a return, or an activation that it does not replace, is pending | refused, `online_call_pending` |
//! | | any other | it is in force |
//! | return by certificate | one was made | the same certificate |
//! | | activated online | refused, `activated_online` |
//! | | not activated with a certificate | refused, `no_license` |
//! | | a renewal waits for its certificate | refused, `certificate_request_pending` |
//! | | activated with a certificate | the license is deleted, then the certificate handed out |
//! | enter offline mode | offline already | the document |
//! | | not online, or the license does not allow it | refused, `offline_mode_not_enabled` |
//! | | a request of an online appliance is pending | that is sent again; once answered, planned again |
//! | | online | asks for all seconds, then offline mode; also if unreachable |
//! | leave offline mode | offline mode | online first, then asks for a sync; also if unreachable |
//! | | activated with a certificate | refused, `activated_with_certificate` |
//! | | any other | the document |
//!
//! Every change is on disk before anything is sent, believed or answered. At most one request is in flight,
//! and an action waits for it. A timer sends the pending request again, or else a sync ([`sync`]).

mod certificates;
mod offline_mode;
mod online;

use serde_json::{Value, json};

pub(crate) use certificates::{certified, not_imported, verified};

use super::clock::ClockReading;
use super::entitlement::Phase;
use super::record::{PendingActivation, State};
use super::transition::Outcome;
use crate::license::error::ApiError;
use crate::license::protocol::message::{Mode, Op, User};

/// Seconds after which a new activation certificate may replace an unanswered one.
const REQUEST_LIFETIME: i64 = 30 * 86_400;

/// What an administrator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Activate { code: String, user: User },
    Remove,
    RequestCertificate { code: String, user: User },
    ApplyCertificate { code: String, certificate: String },
    ReturnCertificate,
    EnterOfflineMode,
    LeaveOfflineMode,
}

impl Action {
    /// Whether it may send a request to the authority.
    pub(crate) fn may_ask(&self) -> bool {
        !matches!(
            self,
            Action::RequestCertificate { .. }
                | Action::ApplyCertificate { .. }
                | Action::ReturnCertificate
        )
    }
}

/// What the worker does for an action.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plan {
    /// Answers.
    Answer(Done),
    /// Saves `state`, logs `event` with the name of the administrator, and goes on.
    Save { state: Box<State>, event: String, then: Box<Plan> },
    /// Sends the pending request again.
    Repeat(Next),
    /// Creates a request, saves it as the pending one in `state`, and sends it.
    Ask { new: NewRequest, state: Box<State>, event: String, next: Next },
    /// Creates a request from `state` and seals it for a certificate; goes on with [`certified`].
    Certify { new: NewRequest, state: Box<State> },
    /// Verifies a license certificate; goes on with [`verified`].
    Verify { token: String, code: String },
}

/// A request that has no id yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewRequest {
    pub(crate) op: Op,
    pub(crate) code: String,
    pub(crate) mode: Mode,
    pub(crate) user: User,
}

/// What follows when a request has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The action ends with it.
    Finish,
    /// It was an older request, which had to be answered first: the action is planned again.
    PlanAgain,
}

/// The answer to an action that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// The status document.
    Document,
    /// The status document with this message.
    DocumentWith(String),
    /// The status document, or an error if the license that was granted is not in force.
    IfInForce,
    /// The same for a license certificate.
    IfCertificateInForce,
    Body(Value),
}

impl Done {
    fn returned(seconds: u64) -> Done {
        Done::Body(json!({"transcription_secs_returned": seconds}))
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The authority was not reached, or its answer was not valid; else the disk or the keys failed.
    pub(crate) unreachable: bool,
    /// For the administrator.
    pub(crate) error: ApiError,
}

/// What `action` needs in `state`.
///
/// # Errors
/// Why it is refused; nothing changes.
pub(crate) fn plan(
    state: &State,
    action: &Action,
    reading: &ClockReading,
) -> Result<Plan, ApiError> {
    match action {
        Action::Activate { code, user } => online::activate(state, code, user),
        Action::Remove => online::remove(state),
        Action::RequestCertificate { code, user } => {
            certificates::request(state, code, user, reading)
        }
        Action::ApplyCertificate { code, certificate } => {
            certificates::apply(state, code, certificate)
        }
        Action::ReturnCertificate => certificates::give_back(state),
        Action::EnterOfflineMode => offline_mode::enter(state),
        Action::LeaveOfflineMode => offline_mode::leave(state),
    }
}

/// What follows for `action` when its request has ended, in the `state` after that; `licensed` says whether
/// a license is in force now.
///
/// # Errors
/// Why the action has failed.
pub(crate) fn after(
    state: &State,
    action: &Action,
    next: Next,
    result: Result<Outcome, Failure>,
    licensed: bool,
    reading: &ClockReading,
) -> Result<Plan, ApiError> {
    let again = next == Next::PlanAgain;
    match (action, result) {
        (Action::EnterOfflineMode, Ok(_)) if again && state.phase == Phase::Online => {
            plan(state, action, reading)
        }
        (Action::EnterOfflineMode, result) => offline_mode::entered(state, result),
        (_, Ok(_)) if again => plan(state, action, reading),
        (Action::Remove, Err(failure)) if again && failure.unreachable && activates(state) => {
            online::discard(state)
        }
        (_, Err(failure)) if again => Err(failure.error),
        (Action::Remove, Ok(Outcome::Returned(seconds))) => {
            Ok(Plan::Answer(Done::returned(seconds)))
        }
        (Action::Remove, Ok(Outcome::Stale)) => Ok(Plan::Answer(Done::returned(0))),
        (Action::Remove, Ok(outcome)) => Err(denied(outcome, "Unable to remove license")),
        (Action::LeaveOfflineMode, Ok(Outcome::Granted)) => Ok(Plan::Answer(Done::Document)),
        (Action::LeaveOfflineMode, Err(failure)) if failure.unreachable => {
            Ok(Plan::Answer(Done::Document))
        }
        (_, Ok(Outcome::Granted)) => Ok(Plan::Answer(Done::IfInForce)),
        // The license is in force; the document shows that the service was not reached.
        (Action::Activate { .. }, Err(failure)) if failure.unreachable && licensed => {
            Ok(Plan::Answer(Done::Document))
        }
        (_, Ok(outcome)) => Err(not_activated(outcome)),
        (_, Err(failure)) => Err(failure.error),
    }
}

/// Sends the pending request again, or else a new sync.
pub(crate) fn sync(state: &State, mode: Mode) -> Plan {
    match state.pending {
        Some(_) => Plan::Repeat(Next::Finish),
        None => ask(Op::Sync, &code(state), mode, User::default(), state.clone(), String::new()),
    }
}

/// The activation certificate that waits for its answer, unless it is too old.
pub(crate) fn pending_activation<'a>(
    state: &'a State,
    reading: &ClockReading,
) -> Option<&'a PendingActivation> {
    let now = state.clock.without_soft_floor(reading);
    state
        .pending_activation
        .as_ref()
        .filter(|pending| now.saturating_sub(pending.request.ts) < REQUEST_LIFETIME)
}

/// The last four digits of a code, to identify a license in the log.
pub(crate) fn last_digits(code: &str) -> String {
    let digits: Vec<char> = code.chars().collect();
    digits.iter().skip(digits.len().saturating_sub(4)).collect()
}

fn ask(op: Op, code: &str, mode: Mode, user: User, state: State, event: String) -> Plan {
    let new = NewRequest { op, code: code.to_owned(), mode, user };
    Plan::Ask { new, state: Box::new(state), event, next: Next::Finish }
}

fn save(state: State, event: String, done: Done) -> Plan {
    Plan::Save { state: Box::new(state), event, then: Box::new(Plan::Answer(done)) }
}

/// The code of the present license, in force or not; empty if there is none.
pub(crate) fn code(state: &State) -> String {
    state.grant.as_ref().map(|grant| grant.lease.license.clone()).unwrap_or_default()
}

fn activates(state: &State) -> bool {
    state.pending.as_ref().is_some_and(|pending| pending.op == Op::Activate)
}

fn no_license(hint: &str) -> ApiError {
    ApiError::input("no_license", "No license to remove", hint)
}

fn not_activated(outcome: Outcome) -> ApiError {
    match outcome {
        Outcome::Denied { reason, message, .. } => ApiError::not_activated(reason, message),
        _ => ApiError::not_activated(
            "stale",
            "the license service answered an outdated request; try again",
        ),
    }
}

fn denied(outcome: Outcome, what: &str) -> ApiError {
    match outcome {
        Outcome::Denied { reason, code, message } => {
            ApiError::internal(reason, format!("{what}: {code}"), message)
        }
        _ => ApiError::internal("stale", format!("{what}: 0"), "try again"),
    }
}

#[cfg(test)]
mod tests;
