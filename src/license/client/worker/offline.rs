//! Licensing without the license service: certificates, and offline mode.

use serde_json::Value;

use super::in_flight::{CallError, OnComplete, trust_error};
use super::{Worker, last_digits};
use crate::license::command::Reply;
use crate::license::error::ApiError;
use crate::license::protocol::certificate;
use crate::license::protocol::certificate::Certificate;
use crate::license::protocol::claims::Lease;
use crate::license::protocol::fields::license_code;
use crate::license::protocol::message::{Mode, Op, User};
use crate::license::protocol::token::Type;
use crate::license::protocol::trust::Dates;
use crate::license::protocol::wire;
use crate::license::state::clock::ClockReading;
use crate::license::state::entitlement::Phase;
use crate::license::state::record::{Grant, PendingActivation, State};
use crate::license::state::transition;
use crate::license::state::transition::Outcome;
use crate::security::Actor;
use crate::util::utc;

/// Seconds after which a new activation certificate may replace an unanswered one.
const REQUEST_LIFETIME: i64 = 30 * 86_400;

impl Worker {
    /// The activation certificate that waits for its answer, unless it is too old.
    pub(crate) fn pending_activation(&self, reading: &ClockReading) -> Option<&PendingActivation> {
        let now = self.state.clock.without_soft_floor(reading);
        self.state
            .pending_activation
            .as_ref()
            .filter(|pending| now.saturating_sub(pending.request.ts) < REQUEST_LIFETIME)
    }

    /// The activation certificate; it stays the same until it is answered, across restarts too.
    pub(crate) fn request_certificate(
        &mut self,
        code: &str,
        user: User,
        by: &Actor,
    ) -> Result<String, ApiError> {
        if license_code(code).is_none() {
            let hint = "a license code has 18 digits: check it, or contact support";
            return Err(ApiError::not_activated("unknown_license", hint));
        }
        if let Some(waiting) = self.pending_activation(&ClockReading::now()) {
            if waiting.request.license == code {
                return Ok(waiting.certificate.clone());
            }
            return Err(request_refused(
                "certificate_request_pending",
                -1121,
                "another license code waits for its license certificate; apply that with PUT, or discard \
                 the request with DELETE license",
            ));
        }
        let renews = self.state.phase == Phase::OfflineCertificate;
        match &self.state.phase {
            Phase::OfflineCertificate if self.code().as_deref() == Some(code) => {}
            Phase::Activating
            | Phase::Returning
            | Phase::Unlicensed
            | Phase::Damaged
            | Phase::Unreadable
            | Phase::Refused(_) => match &self.state.pending {
                None => {}
                // The same activation by two routes; it doesn't matter which is answered first.
                Some(pending) if pending.op == Op::Activate && pending.license == code => {}
                Some(pending) => {
                    let hint = if pending.op == Op::Activate {
                        "an online activation with another license code is not confirmed yet; discard it with \
                         DELETE license, or restore the connection to the license service"
                    } else {
                        "an online call is not confirmed yet; restore the connection to the license service, or try again later"
                    };
                    return Err(request_refused("online_call_pending", -112, hint));
                }
            },
            Phase::Online | Phase::OfflineMode | Phase::OfflineCertificate => {
                return Err(request_refused(
                    "license_present",
                    -112,
                    "a license is in force; remove it with DELETE license first",
                ));
            }
        }
        let op = if renews { Op::Sync } else { Op::Activate };
        let request = self.new_request(op, code, Mode::Offline, user, &self.state)?;
        let trust = self.trust.as_ref().map_err(trust_error)?;
        let sealed = wire::seal(&request, trust, self.now(), &self.device.key)
            .map_err(|error| trust_error(&error))?;
        let text = Certificate::Activation(sealed.sealed).write().ok_or_else(|| {
            ApiError::internal(
                "too_long",
                "Unable to request activation certificate",
                "shorten the details",
            )
        })?;
        let pending = PendingActivation { request, certificate: text.clone() };
        self.commit(State { pending_activation: Some(pending), ..self.state.clone() })?;
        self.log.security(format_args!(
            "activation certificate for license …{} requested by {by}",
            last_digits(code)
        ));
        Ok(text)
    }

    /// Applies a license certificate; one that is already in force changes nothing.
    pub(crate) fn apply_certificate(
        &mut self,
        code: &str,
        text: &str,
        by: &Actor,
    ) -> Result<Value, ApiError> {
        let token = certificate::read_license(text).map_err(|error| {
            let reason = match error {
                certificate::Error::Damaged => "certificate_mangled",
                certificate::Error::WrongKind(_) => "wrong_certificate",
                _ => "no_certificate",
            };
            not_imported(reason, -1055, error.to_string())
        })?;
        if let Some(grant) = &self.state.grant
            && self.state.phase == Phase::OfflineCertificate
            && grant.token == token
        {
            return if grant.lease.license == code {
                self.check_in_force(&self.state).map(|()| self.document())
            } else {
                Err(other_code())
            };
        }
        let lease = self.verify_certificate(&token)?;
        self.check_request(&lease, code)?;
        let grant = Grant { kind: Type::LicenseCertificate, token, lease };
        let next = transition::on_certificate(&self.state, grant, &ClockReading::now());
        // A certificate that is not in force now may still be applied once the clock is right.
        self.check_in_force(&next)?;
        self.commit(next)?;
        self.log.security(format_args!(
            "license …{} activated with a certificate by {by}",
            last_digits(code)
        ));
        Ok(self.document())
    }

    fn check_in_force(&self, state: &State) -> Result<(), ApiError> {
        let reading = ClockReading::now();
        let entitlement = self.snapshot_of(state, &reading).entitlement(&reading);
        if entitlement.licensed {
            return Ok(());
        }
        let made = state.grant.as_ref().map_or(0, |grant| grant.lease.iat);
        let hint = format!(
            "{}; it was made on {}, and the appliance's clock says {}: set the clock if that is wrong, or \
             have a new activation certificate signed",
            entitlement.message,
            utc::format(made),
            utc::format(state.clock.at(&reading))
        );
        Err(not_imported("not_in_force", -1055, hint))
    }

    /// Verifies a license certificate. It may be the first source of the time for a machine without a
    /// clock: if the clock is behind the date of the certificate, that date counts as now, and a wrong
    /// future year that the machine once assumed does not prevent its correction.
    fn verify_certificate(&mut self, token: &str) -> Result<Lease, ApiError> {
        let now = self.state.clock.without_soft_floor(&ClockReading::now());
        let trust = self.trust.as_mut().map_err(|error| trust_error(&*error))?;
        let known = trust.bundle_token().to_owned();
        let refused = |error: crate::license::protocol::trust::Error| {
            not_imported(
                "certificate_not_genuine",
                -1055,
                format!("the certificate was refused: {error}"),
            )
        };
        let read = |payload: &Value| {
            Lease::from_json(payload).map_err(|error| {
                not_imported(
                    "certificate_not_genuine",
                    -1055,
                    format!("the content of the certificate is not valid: {error}"),
                )
            })
        };
        let verified =
            trust.verify_certificate(token, Dates::Ignored).map_err(refused).and_then(|payload| {
                let lease = read(&payload)?;
                let payload = trust
                    .verify_certificate(token, Dates::At(now.max(lease.iat)))
                    .map_err(refused)?;
                read(&payload)
            });
        if trust.bundle_token() != known {
            self.persist();
        }
        verified
    }

    /// Checks that the certificate answers the request of this appliance.
    fn check_request(&self, lease: &Lease, code: &str) -> Result<(), ApiError> {
        let here = lease.computer_id == self.device.computer_id
            && lease.device == self.device.key.public().fingerprint();
        // The computer id may have changed between the two certificates.
        let moved = lease.device == self.device.key.public().fingerprint()
            && Some(&lease.computer_id)
                == self.state.pending_activation.as_ref().map(|a| &a.request.computer_id);
        if !here && !moved {
            return Err(not_imported(
                "other_computer",
                -1055,
                "the certificate was made for another appliance: use the one that was made from this \
                 appliance's activation certificate",
            ));
        }
        let Some(pending) = &self.state.pending_activation else {
            return Err(not_imported(
                "no_request",
                -1114,
                "no activation certificate of this appliance waits for an answer: make one with POST \
                 license/offlineactivation and have it signed",
            ));
        };
        if lease.req_id != pending.request.req_id {
            return Err(not_imported(
                "older_request",
                -1055,
                "the certificate answers an older activation certificate: have the latest one signed",
            ));
        }
        if lease.license != code || pending.request.license != code {
            return Err(other_code());
        }
        Ok(())
    }

    pub(crate) fn set_offline(&mut self, offline: bool, by: &Actor, reply: Reply<Value>) {
        let phase = self.state.phase.clone();
        let answer = match (offline, phase) {
            (true, Phase::OfflineMode | Phase::OfflineCertificate) | (false, Phase::Online) => {
                Ok(self.document())
            }
            (true, Phase::Online) if self.allows_offline() => {
                self.log.security(format_args!("offline mode entered by {by}"));
                return self.go_offline(reply);
            }
            (true, _) => Err(offline_not_enabled()),
            (false, Phase::OfflineMode) => {
                self.log.security(format_args!("offline mode left by {by}"));
                self.go_online(reply);
                return;
            }
            (false, Phase::OfflineCertificate) => Err(ApiError::internal(
                "activated_with_certificate",
                "License was activated with a certificate",
                "it works without the license service; renew it with a new activation certificate",
            )),
            // Without a license there is no offline mode to leave.
            (false, _) => Ok(self.document()),
        };
        let _ = reply.send(answer);
    }

    fn allows_offline(&self) -> bool {
        self.state.grant.as_ref().is_some_and(|grant| grant.lease.offline_mode)
    }

    /// Sends a last request, for all seconds that may be used offline; if it fails, the cached seconds
    /// must suffice.
    pub(crate) fn go_offline(&mut self, reply: Reply<Value>) {
        match self.state.pending.clone() {
            // It asks for the seconds of an online appliance, so it has to be answered first.
            Some(pending) if pending.mode == Mode::Online => {
                self.send(pending, None, OnComplete::ThenOffline(reply));
            }
            _ => self.send_pending_or_sync(Mode::Offline, OnComplete::GoOffline(reply)),
        }
    }

    pub(crate) fn offline_mode_result(
        &mut self,
        result: Result<Outcome, CallError>,
    ) -> Result<Value, ApiError> {
        let stale = matches!(result, Ok(Outcome::Stale));
        match result {
            Ok(Outcome::Denied { reason: "offline_not_allowed", .. }) => {
                return Err(offline_not_enabled());
            }
            Ok(Outcome::Denied { reason, message, code }) => {
                return Err(ApiError::internal(
                    reason,
                    format!("Unable to go offline: {code}"),
                    message,
                ));
            }
            Err(CallError::Storage(error)) => return Err(error),
            Ok(_) if !self.allows_offline() => return Err(offline_not_enabled()),
            // In any other case, only a license in force can be taken offline.
            _ if stale || self.state.phase != Phase::Online => {
                return Err(ApiError::internal(
                    "stale",
                    "Unable to go offline: 0",
                    "the license service answered an outdated request; try again",
                ));
            }
            Ok(_) | Err(CallError::Transport(_)) => {}
        }
        let failed = result.is_err();
        self.commit(State { phase: Phase::OfflineMode, ..self.state.clone() })?;
        self.error.clear();
        self.publish();
        let mut document = self.document();
        if failed {
            let seconds = self.state.totals.allowed();
            let message = format!(
                "the license service was not reached; {seconds} seconds are cached for offline use"
            );
            document["message"] = Value::from(message);
        }
        Ok(document)
    }

    fn go_online(&mut self, reply: Reply<Value>) {
        if let Err(error) = self.commit(State { phase: Phase::Online, ..self.state.clone() }) {
            let _ = reply.send(Err(error));
            return;
        }
        self.send_pending_or_sync(Mode::Online, OnComplete::GoOnline(reply));
    }
}

fn offline_not_enabled() -> ApiError {
    ApiError::internal(
        "offline_mode_not_enabled",
        "Offline mode not enabled for this license",
        "this license does not allow it; contact your vendor",
    )
}

fn request_refused(reason: &'static str, number: i64, hint: &str) -> ApiError {
    ApiError::internal(reason, format!("Unable to request activation certificate: {number}"), hint)
}

fn not_imported(reason: &'static str, number: i64, hint: impl Into<String>) -> ApiError {
    ApiError::input(reason, format_args!("Unable to import certificate: {number}"), hint)
}

fn other_code() -> ApiError {
    not_imported(
        "other_license",
        -1055,
        "the certificate is for another license code than the one sent with it",
    )
}
