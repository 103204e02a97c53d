//! Licensing by certificate: requests and answers that a person carries.
//!
//! A returned license is deleted before the return certificate is handed out, so that its seconds can't be
//! both used and credited. The vendor credits each certificate once.

use serde_json::{Value, json};

use super::online::check_code;
use super::{Done, NewRequest, Plan, code, last_digits, no_license, pending_activation, save};
use crate::license::error::ApiError;
use crate::license::protocol::certificate;
use crate::license::protocol::claims::Lease;
use crate::license::protocol::message::{Mode, Op, Request, User};
use crate::license::protocol::token::Type;
use crate::license::state::clock::ClockReading;
use crate::license::state::entitlement::Phase;
use crate::license::state::record::{Grant, PendingActivation, ReturnCertificate, State};
use crate::license::state::transition;
use crate::license::state::transition::{Identity, clear_license};

/// The activation certificate; it stays the same until it is answered, across restarts too.
pub(super) fn request(
    state: &State,
    code: &str,
    user: &User,
    reading: &ClockReading,
) -> Result<Plan, ApiError> {
    check_code(code)?;
    if let Some(waiting) = pending_activation(state, reading) {
        if waiting.request.license == code {
            return Ok(Plan::Answer(text(&waiting.certificate)));
        }
        return Err(request_refused(
            "certificate_request_pending",
            -1121,
            "another license code waits for its license certificate; apply that with PUT, or discard the \
             request with DELETE license",
        ));
    }
    let renews = state.phase == Phase::OfflineCertificate && super::code(state) == code;
    match &state.phase {
        Phase::OfflineCertificate if renews => {}
        Phase::Online | Phase::OfflineMode | Phase::OfflineCertificate => {
            return Err(request_refused(
                "license_present",
                -112,
                "a license is in force; remove it with DELETE license first",
            ));
        }
        Phase::Activating
        | Phase::Returning
        | Phase::Unlicensed
        | Phase::Damaged
        | Phase::Unreadable
        | Phase::Refused(_) => match &state.pending {
            None => {}
            // The same activation by two routes; it doesn't matter which is answered first.
            Some(pending) if pending.op == Op::Activate && pending.license == code => {}
            Some(pending) => return Err(call_pending(pending)),
        },
    }
    let op = if renews { Op::Sync } else { Op::Activate };
    Ok(certify(op, code, user.clone(), state.clone()))
}

/// The return certificate; it stays the same until a license is granted again.
pub(super) fn give_back(state: &State) -> Result<Plan, ApiError> {
    if let Some(returned) = &state.returned {
        return Ok(Plan::Answer(Done::Body(body(returned))));
    }
    match &state.phase {
        Phase::OfflineCertificate => {}
        Phase::Online | Phase::OfflineMode => {
            return Err(return_refused(
                "activated_online",
                "it was activated online: return it with DELETE license, while the license service can be \
                 reached and not in offline mode",
            ));
        }
        _ => return Err(no_license("no license was activated with a certificate here")),
    }
    // If the vendor has signed the renewal, its account is ahead of the appliance's.
    if state.pending_activation.is_some() {
        return Err(return_refused(
            "certificate_request_pending",
            "a renewal waits for its license certificate: apply that with PUT first",
        ));
    }
    // Running sessions can no longer be settled: their reserved seconds count as used.
    let next = State { totals: state.totals.charge_held(), ..state.clone() };
    Ok(certify(Op::Return, &code(state), User::default(), next))
}

fn certify(op: Op, code: &str, user: User, state: State) -> Plan {
    let new = NewRequest { op, code: code.to_owned(), mode: Mode::Offline, user };
    Plan::Certify { new, state: Box::new(state) }
}

/// What follows when `request`, which was made from `state`, is sealed in `certificate`.
///
/// # Errors
/// When the certificate is too long: it is `None`.
pub(crate) fn certified(
    mut state: State,
    request: Request,
    certificate: Option<String>,
) -> Result<Plan, ApiError> {
    let digits = last_digits(&request.license);
    if request.op == Op::Return {
        let certificate = certificate
            .ok_or_else(|| return_refused("too_long", "ask your vendor to release it"))?;
        let returned = ReturnCertificate { certificate, seconds: state.totals.allowed() };
        clear_license(&mut state);
        let done = Done::Body(body(&returned));
        state.returned = Some(returned);
        let event = format!("license …{digits} returned with a return certificate by");
        return Ok(save(state, event, done));
    }
    let what = "Unable to request activation certificate";
    let certificate =
        certificate.ok_or_else(|| ApiError::internal("too_long", what, "shorten the details"))?;
    let done = text(&certificate);
    state.pending_activation = Some(PendingActivation { request, certificate });
    Ok(save(state, format!("activation certificate for license …{digits} requested by"), done))
}

/// Applies a license certificate; one that is already in force changes nothing.
pub(super) fn apply(state: &State, code: &str, certificate: &str) -> Result<Plan, ApiError> {
    let token = certificate::read_license(certificate).map_err(|error| {
        let reason = match error {
            certificate::Error::Damaged => "certificate_mangled",
            certificate::Error::WrongKind(_) => "wrong_certificate",
            _ => "no_certificate",
        };
        not_imported(reason, error.to_string())
    })?;
    match &state.grant {
        Some(grant) if state.phase == Phase::OfflineCertificate && grant.token == token => {
            if grant.lease.license == code {
                Ok(Plan::Answer(Done::IfCertificateInForce))
            } else {
                Err(other_code())
            }
        }
        _ => Ok(Plan::Verify { token, code: code.to_owned() }),
    }
}

/// What follows when a license certificate has proved genuine: it is applied, if it answers the request of
/// this appliance.
///
/// # Errors
/// When it is for another appliance, request or code.
pub(crate) fn verified(
    state: &State,
    token: String,
    lease: Lease,
    code: &str,
    who: Identity<'_>,
    reading: &ClockReading,
) -> Result<Plan, ApiError> {
    check_request(state, &lease, code, who)?;
    let grant = Grant { kind: Type::LicenseCertificate, token, lease };
    let next = transition::on_certificate(state, grant, reading);
    let event = format!("license …{} activated with a certificate by", last_digits(code));
    Ok(save(next, event, Done::Document))
}

/// Checks that the certificate answers the request of this appliance.
fn check_request(
    state: &State,
    lease: &Lease,
    code: &str,
    who: Identity<'_>,
) -> Result<(), ApiError> {
    let pending = state.pending_activation.as_ref();
    // The computer id may have changed between the two certificates.
    let here = lease.computer_id == who.computer_id
        || Some(&lease.computer_id) == pending.map(|pending| &pending.request.computer_id);
    if lease.device != who.device || !here {
        return Err(not_imported(
            "other_computer",
            "the certificate was made for another appliance: use the one that was made from this \
             appliance's activation certificate",
        ));
    }
    let Some(pending) = pending else {
        return Err(ApiError::input(
            "no_request",
            "Unable to import certificate: -1114",
            "no activation certificate of this appliance waits for an answer: make one with POST \
             license/offlineactivation and have it signed",
        ));
    };
    if lease.req_id != pending.request.req_id {
        return Err(not_imported(
            "older_request",
            "the certificate answers an older activation certificate: have the latest one signed",
        ));
    }
    if lease.license != code || pending.request.license != code {
        return Err(other_code());
    }
    check_seat(state, pending)
}

/// Checks that no other request of this appliance holds a seat, or may take one later, which would be lost:
/// only one license is kept here.
fn check_seat(state: &State, awaited: &PendingActivation) -> Result<(), ApiError> {
    let refused = |reason, hint: &str| {
        Err(ApiError::input(reason, "Unable to import certificate: -112", hint))
    };
    let in_force = matches!(state.phase, Phase::Online | Phase::OfflineMode);
    if in_force && code(state) != awaited.request.license {
        return refused(
            "license_present",
            "another license is in force; remove it with DELETE license first, then apply this certificate \
             again",
        );
    }
    // An activation that the certificate replaces is not granted after it.
    let open = state.pending.as_ref().filter(|pending| match pending.op {
        Op::Activate => awaited.request.instead_of != Some(pending.req_id),
        Op::Return => true,
        Op::Sync | Op::Probe => false,
    });
    match open {
        None => Ok(()),
        Some(_) => refused(
            "online_call_pending",
            "an online call that came after the activation certificate is not confirmed yet: restore the \
             connection to the license service, or discard both with DELETE license and make a new activation \
             certificate",
        ),
    }
}

fn text(certificate: &str) -> Done {
    Done::Body(json!({"certificate": certificate}))
}

fn body(returned: &ReturnCertificate) -> Value {
    json!({
        "certificate": returned.certificate,
        "transcription_secs_returned": returned.seconds,
    })
}

fn call_pending(pending: &Request) -> ApiError {
    let hint = if pending.op == Op::Activate {
        "an online activation with another license code is not confirmed yet; discard it with DELETE \
         license, or restore the connection to the license service"
    } else {
        "an online call is not confirmed yet; restore the connection to the license service, or try again \
         later"
    };
    request_refused("online_call_pending", -112, hint)
}

fn request_refused(reason: &'static str, number: i64, hint: &str) -> ApiError {
    ApiError::internal(reason, format!("Unable to request activation certificate: {number}"), hint)
}

fn return_refused(reason: &'static str, hint: &str) -> ApiError {
    ApiError::internal(reason, "Unable to make a return certificate", hint)
}

/// A license certificate that is not applied.
pub(crate) fn not_imported(reason: &'static str, hint: impl Into<String>) -> ApiError {
    ApiError::input(reason, "Unable to import certificate: -1055", hint)
}

fn other_code() -> ApiError {
    not_imported(
        "other_license",
        "the certificate is for another license code than the one sent with it",
    )
}
