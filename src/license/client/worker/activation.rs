//! Online activation and return: the request that a call starts, and the answer to the caller.

use serde_json::Value;

use super::in_flight::{CallError, OnComplete};
use super::{Worker, last_digits};
use crate::license::client::transport::{ErrorKind, TransportError};
use crate::license::command::{Command, Reply};
use crate::license::error::ApiError;
use crate::license::protocol::fields::license_code;
use crate::license::protocol::message::{Mode, Op, User};
use crate::license::state::entitlement::{Entitlement, Phase};
use crate::license::state::record::State;
use crate::license::state::sessions::Sessions;
use crate::license::state::transition::{Outcome, clear_license};
use crate::security::Actor;
use crate::util::utc;

/// Largest difference, in seconds, between the appliance's clock and that of the license service that a slow
/// answer can explain.
const CLOCK_TOLERANCE: i64 = 600;

impl Worker {
    pub(crate) fn activate(&mut self, code: String, user: User, by: Actor, reply: Reply<Value>) {
        if license_code(&code).is_none() {
            let hint = "a license code has 18 digits: check it, or contact support";
            let _ = reply.send(Err(ApiError::not_activated("unknown_license", hint)));
            return;
        }
        let present = self.code();
        let same = present.as_deref() == Some(code.as_str());
        let conflict = match &self.state.phase {
            Phase::OfflineMode => Some(ApiError::offline(
                "offline_mode",
                "the appliance is in offline mode; leave it with POST license/offlinemode {\"offline\": false}",
            )),
            Phase::OfflineCertificate => Some(ApiError::offline(
                "offline_mode",
                "the license here was activated with a certificate; give it back with DELETE \
                 license/offlineactivation first",
            )),
            Phase::Online if !same => Some(ApiError::not_activated(
                "license_present",
                "this appliance already has another license; remove it with DELETE license first",
            )),
            _ => None,
        };
        if let Some(error) = conflict {
            let _ = reply.send(Err(error));
            return;
        }
        if let Some(pending) = self.state.pending.clone() {
            // Repeats the pending request; any other command waits until it is answered.
            let again = pending.op == Op::Activate && pending.license == code;
            let on_complete = if again {
                OnComplete::Activate(reply)
            } else {
                OnComplete::Then(Command::Activate { code, user, by, reply })
            };
            return self.send(pending, None, on_complete);
        }
        if self.state.phase == Phase::Online {
            self.send_new(Op::Sync, Mode::Online, OnComplete::Sync(reply));
        } else {
            self.log.security(format_args!("license …{} applied by {by}", last_digits(&code)));
            let mut next = self.state.clone();
            if matches!(next.phase, Phase::Unlicensed | Phase::Damaged | Phase::Unreadable) {
                next.phase = Phase::Activating;
            }
            self.record_and_send(
                Op::Activate,
                &code,
                Mode::Online,
                user,
                next,
                OnComplete::Activate(reply),
            );
        }
    }

    pub(crate) fn remove(&mut self, by: Actor, reply: Reply<u64>) {
        let phase = self.state.phase.clone();
        if phase.is_offline() {
            let hint = if phase == Phase::OfflineCertificate {
                "it was activated with a certificate: give it back with DELETE license/offlineactivation"
            } else {
                "leave offline mode with POST license/offlinemode {\"offline\": false} and make sure that \
                 the license service can be reached"
            };
            let error =
                ApiError::internal("offline_mode", "Cannot remove license in offline mode", hint);
            let _ = reply.send(Err(error));
            return;
        }
        if let Some(pending) = self.state.pending.clone() {
            let on_complete = match pending.op {
                Op::Return => OnComplete::Return(reply),
                // Sent only if no license is in force, so there is none to lose.
                Op::Activate => OnComplete::Drop { by, reply },
                Op::Sync | Op::Probe => OnComplete::Then(Command::Remove { by, reply }),
            };
            return self.send(pending, None, on_complete);
        }
        if phase != Phase::Online {
            let _ = reply.send(self.clear(&by));
            return;
        }
        self.log.security(format_args!(
            "license …{} returned by {by}",
            last_digits(&self.code().unwrap_or_default())
        ));
        let next = State {
            phase: Phase::Returning,
            // Running sessions can no longer be settled: their reserved seconds count as used.
            totals: self.state.totals.charge_held(),
            ..self.state.clone()
        };
        let code = self.code().unwrap_or_default();
        let mode = Mode::Online;
        self.record_and_send(
            Op::Return,
            &code,
            mode,
            User::default(),
            next,
            OnComplete::Return(reply),
        );
        if self.state.phase == Phase::Returning {
            self.sessions = Sessions::default();
        }
    }

    /// Discards what remains of a license that is not in force: an unconfirmed activation, a pending
    /// activation certificate, a seat that was taken away, or the trace of a damaged file.
    fn clear(&mut self, by: &Actor) -> Result<u64, ApiError> {
        let State { phase, pending_activation, pending, .. } = self.state.clone();
        if phase == Phase::Unlicensed && pending_activation.is_none() && pending.is_none() {
            return Err(ApiError::input(
                "no_license",
                "No license to remove",
                "the appliance is not licensed; apply a license with POST license",
            ));
        }
        let abandoned_activation =
            pending.as_ref().map(|request| request.req_id).or(self.state.abandoned_activation);
        let mut next = State {
            pending_activation: None,
            pending: None,
            abandoned_activation,
            ..self.state.clone()
        };
        clear_license(&mut next);
        self.commit(next)?;
        match pending {
            Some(request) => self.log.security(format_args!(
                "unconfirmed activation of license …{} discarded by {by}; if the license service received \
                 it, its seat stays with this computer and is used when the same code is posted again",
                last_digits(&request.license)
            )),
            None => {
                self.log.security(format_args!("the rest of a former license was discarded by {by}"));
            }
        }
        Ok(0)
    }

    /// The code of the present license, in force or not.
    pub(crate) fn code(&self) -> Option<String> {
        self.state.grant.as_ref().map(|grant| grant.lease.license.clone())
    }

    /// Answers the caller that waits for the request.
    pub(crate) fn complete(&mut self, on_complete: OnComplete, result: Result<Outcome, CallError>) {
        match on_complete {
            OnComplete::Nothing => {
                if let Ok(Outcome::Denied { reason, message, .. }) = result {
                    self.log
                        .security(format_args!("license service refused ({reason}): {message}"));
                }
            }
            OnComplete::Then(command) => match result {
                Ok(_) => self.handle(command),
                Err(error) => {
                    let activates = matches!(command, Command::Activate { .. });
                    command.reject(to_api_error(error, activates));
                }
            },
            OnComplete::Drop { by, reply } => match result {
                Ok(_) => self.handle(Command::Remove { by, reply }),
                Err(CallError::Transport(_)) => drop(reply.send(self.clear(&by))),
                Err(CallError::Storage(error)) => drop(reply.send(Err(error))),
            },
            OnComplete::ThenOffline(reply) => {
                if result.is_ok() && self.state.phase == Phase::Online {
                    return self.go_offline(reply);
                }
                let done = self.offline_mode_result(result);
                let _ = reply.send(done);
            }
            OnComplete::Activate(reply) => {
                let _ = reply.send(self.activated(result));
            }
            OnComplete::Sync(reply) => {
                let done = match result {
                    Ok(Outcome::Granted) => self.document_if_in_force(),
                    // The license is in force; the document shows that the service was not reached.
                    Err(CallError::Transport(_)) if self.entitlement.snapshot().licensed => {
                        Ok(self.document())
                    }
                    Ok(outcome) => Err(denied(outcome)),
                    Err(error) => Err(to_api_error(error, true)),
                };
                let _ = reply.send(done);
            }
            OnComplete::GoOnline(reply) => {
                let done = match result {
                    Ok(Outcome::Granted) | Err(CallError::Transport(_)) => Ok(self.document()),
                    Ok(outcome) => Err(denied(outcome)),
                    Err(CallError::Storage(error)) => Err(error),
                };
                let _ = reply.send(done);
            }
            OnComplete::Return(reply) => {
                let done = match result {
                    Ok(Outcome::Returned(seconds)) => Ok(seconds),
                    Ok(Outcome::Stale) => Ok(0),
                    Ok(outcome) => Err(removal_error(outcome)),
                    Err(error) => Err(to_api_error(error, false)),
                };
                let _ = reply.send(done);
            }
            OnComplete::GoOffline(reply) => {
                let done = self.offline_mode_result(result);
                let _ = reply.send(done);
            }
        }
    }

    /// The status document, if the license is in force.
    fn document_if_in_force(&self) -> Result<Value, ApiError> {
        let entitlement = self.entitlement.snapshot();
        if entitlement.licensed {
            return Ok(self.document());
        }
        let (reason, hint) = not_in_force(&self.state, &entitlement, self.now());
        Err(ApiError::not_activated(reason, hint))
    }

    fn activated(&mut self, result: Result<Outcome, CallError>) -> Result<Value, ApiError> {
        match result {
            Ok(Outcome::Granted) => {
                let code = last_digits(&self.code().unwrap_or_default());
                self.log.security(format_args!("license …{code} activated"));
                self.document_if_in_force()
            }
            Ok(outcome) => Err(denied(outcome)),
            Err(CallError::Transport(error))
                if error.maybe_delivered && error.rejected_by.is_none() =>
            {
                let message = format!("{}; it is retried automatically", error.message);
                Err(to_api_error(CallError::Transport(TransportError { message, ..error }), true))
            }
            Err(error) => Err(to_api_error(error, true)),
        }
    }
}

/// Reason and hint for a license that was granted but is not in force.
pub(crate) fn not_in_force(
    state: &State,
    entitlement: &Entitlement,
    now: i64,
) -> (&'static str, String) {
    let reason = match entitlement.status.split(' ').next() {
        Some("-1") => "lease_expired",
        Some("-116") => "subscription_expired",
        _ => "not_in_force",
    };
    // The license service grants for the present; only the appliance's clock can be past the end.
    let clock_is_wrong =
        now.saturating_sub(state.last_contact) > CLOCK_TOLERANCE && state.last_contact > 0;
    let hint = if clock_is_wrong {
        format!(
            "{}; the appliance's clock says {}, and the license service said {}: set the clock",
            entitlement.message,
            utc::format(now),
            utc::format(state.last_contact)
        )
    } else {
        entitlement.message.clone()
    };
    (reason, hint)
}

/// The error (ML-35, ML-39) for a call that did not reach the license service.
pub(crate) fn to_api_error(error: CallError, activates: bool) -> ApiError {
    match error {
        CallError::Storage(error) => error,
        CallError::Transport(error) if activates && error.kind != ErrorKind::Blocked => {
            ApiError::offline(error.kind.reason(), error.message)
        }
        CallError::Transport(error) => ApiError::blocked(error.kind.reason(), error.message),
    }
}

fn denied(outcome: Outcome) -> ApiError {
    match outcome {
        Outcome::Denied { reason, message, .. } => ApiError::not_activated(reason, message),
        _ => ApiError::not_activated(
            "stale",
            "the license service answered an outdated request; try again",
        ),
    }
}

fn removal_error(outcome: Outcome) -> ApiError {
    match outcome {
        Outcome::Denied { reason, code, message } => {
            ApiError::internal(reason, format!("Unable to remove license: {code}"), message)
        }
        _ => ApiError::internal("stale", "Unable to remove license: 0", "try again"),
    }
}
