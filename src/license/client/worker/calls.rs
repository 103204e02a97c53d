//! Activating and giving back: what a call starts, and what the caller hears in the end.

use serde_json::Value;

use super::flight::{Purpose, Stuck};
use super::{Worker, tail};
use crate::license::client::online::{Failure, Hop};
use crate::license::command::{Command, Reply};
use crate::license::error::ApiError;
use crate::license::protocol::fields::license_code;
use crate::license::protocol::message::{Mode, Op, User};
use crate::license::state::entitlement::{Entitlement, Phase};
use crate::license::state::lease::Sessions;
use crate::license::state::record::State;
use crate::license::state::transition::{Outcome, forget};
use crate::security::Actor;
use crate::util::utc;

/// A clock that differs from the license service's by so many seconds explains more than a slow answer does.
const ASTRAY: i64 = 600;

impl Worker {
    pub(crate) fn activate(&mut self, code: String, user: User, by: Actor, reply: Reply<Value>) {
        if license_code(&code).is_none() {
            let hint = "a license code has 18 digits: check it, or contact support";
            let _ = reply.send(Err(ApiError::not_activated("unknown_license", hint)));
            return;
        }
        let present = self.code();
        let same = present.as_deref() == Some(code.as_str());
        let refusal = match &self.state.phase {
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
                "this appliance has another license already; remove it with DELETE license first",
            )),
            _ => None,
        };
        if let Some(fault) = refusal {
            let _ = reply.send(Err(fault));
            return;
        }
        if let Some(pending) = self.state.pending.clone() {
            // The same question again; any other only once this one is answered.
            let again = pending.op == Op::Activate && pending.license == code;
            let purpose = if again {
                Purpose::Activate(reply)
            } else {
                Purpose::Then(Command::Activate { code, user, by, reply })
            };
            return self.send(pending, None, purpose);
        }
        if self.state.phase == Phase::Online {
            self.ask_anew(Op::Sync, Mode::Online, Purpose::Sync(reply));
        } else {
            self.log.security(format_args!("license …{} applied by {by}", tail(&code)));
            let mut next = self.state.clone();
            if matches!(next.phase, Phase::Unlicensed | Phase::Damaged | Phase::Unread) {
                next.phase = Phase::Activating;
            }
            self.ask(Op::Activate, &code, Mode::Online, user, next, Purpose::Activate(reply));
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
            let fault =
                ApiError::internal("offline_mode", "Cannot remove license in offline mode", hint);
            let _ = reply.send(Err(fault));
            return;
        }
        if let Some(pending) = self.state.pending.clone() {
            let purpose = match pending.op {
                Op::Return => Purpose::Return(reply),
                // Asked only where no license is in force: there is none to lose.
                Op::Activate => Purpose::Drop { by, reply },
                Op::Sync | Op::Probe => Purpose::Then(Command::Remove { by, reply }),
            };
            return self.send(pending, None, purpose);
        }
        if phase != Phase::Online {
            let _ = reply.send(self.clear(&by));
            return;
        }
        self.log.security(format_args!(
            "license …{} given back by {by}",
            tail(&self.code().unwrap_or_default())
        ));
        let next = State {
            phase: Phase::Returning,
            // Nobody can settle any more what running sessions hold: it counts as used.
            totals: self.state.totals.charge_held(),
            ..self.state.clone()
        };
        let code = self.code().unwrap_or_default();
        let mode = Mode::Online;
        self.ask(Op::Return, &code, mode, User::default(), next, Purpose::Return(reply));
        if self.state.phase == Phase::Returning {
            self.sessions = Sessions::default();
        }
    }

    /// Drops what is left of a license that is not in force here: an activation that nobody confirmed or
    /// a certificate that waits for its answer, a seat that was taken away, the memory of a damaged file.
    fn clear(&mut self, by: &Actor) -> Result<u64, ApiError> {
        let State { phase, awaited, pending, .. } = self.state.clone();
        if phase == Phase::Unlicensed && awaited.is_none() && pending.is_none() {
            return Err(ApiError::input(
                "no_license",
                "No license to remove",
                "the appliance is not licensed; apply a license with POST license",
            ));
        }
        let dropped = pending.as_ref().map(|request| request.req_id).or(self.state.dropped);
        let mut next = State { awaited: None, pending: None, dropped, ..self.state.clone() };
        forget(&mut next);
        self.commit(next)?;
        match pending {
            Some(request) => self.log.security(format_args!(
                "the activation of license …{}, which was not confirmed, was dropped by {by}; its seat, \
                 should the license service have heard of it, stays with this computer and counts again \
                 when the same code is posted",
                tail(&request.license)
            )),
            None => {
                self.log.security(format_args!("what was left of a license was dropped by {by}"));
            }
        }
        Ok(0)
    }

    /// The code of the license there is, in force or not.
    pub(crate) fn code(&self) -> Option<String> {
        self.state.grant.as_ref().map(|grant| grant.lease.license.clone())
    }

    /// Tells whoever waits.
    pub(crate) fn finish(&mut self, purpose: Purpose, landed: Result<Outcome, Stuck>) {
        match purpose {
            Purpose::Nobody => {
                if let Ok(Outcome::Denied { reason, sentence, .. }) = landed {
                    self.log
                        .security(format_args!("license service refused ({reason}): {sentence}"));
                }
            }
            Purpose::Then(command) => match landed {
                Ok(_) => self.obey(command),
                Err(stuck) => {
                    let activates = matches!(command, Command::Activate { .. });
                    command.reject(fault(stuck, activates));
                }
            },
            Purpose::Drop { by, reply } => match landed {
                Ok(_) => self.obey(Command::Remove { by, reply }),
                Err(Stuck::Network(_)) => drop(reply.send(self.clear(&by))),
                Err(Stuck::Disk(fault)) => drop(reply.send(Err(fault))),
            },
            Purpose::ThenOffline(reply) => {
                if landed.is_ok() && self.state.phase == Phase::Online {
                    return self.go_offline(reply);
                }
                let done = self.went_offline(landed);
                let _ = reply.send(done);
            }
            Purpose::Activate(reply) => {
                let _ = reply.send(self.activated(landed));
            }
            Purpose::Sync(reply) => {
                let done = match landed {
                    Ok(Outcome::Granted) => self.in_force(),
                    // The license is there; that nobody could be asked about it stands in the document.
                    Err(Stuck::Network(_)) if self.standing.snapshot().licensed => {
                        Ok(self.document())
                    }
                    Ok(outcome) => Err(denied(outcome)),
                    Err(stuck) => Err(fault(stuck, true)),
                };
                let _ = reply.send(done);
            }
            Purpose::GoOnline(reply) => {
                let done = match landed {
                    Ok(Outcome::Granted) | Err(Stuck::Network(_)) => Ok(self.document()),
                    Ok(outcome) => Err(denied(outcome)),
                    Err(Stuck::Disk(fault)) => Err(fault),
                };
                let _ = reply.send(done);
            }
            Purpose::Return(reply) => {
                let done = match landed {
                    Ok(Outcome::Returned(seconds)) => Ok(seconds),
                    Ok(Outcome::Stale) => Ok(0),
                    Ok(outcome) => Err(not_removed(outcome)),
                    Err(stuck) => Err(fault(stuck, false)),
                };
                let _ = reply.send(done);
            }
            Purpose::GoOffline(reply) => {
                let done = self.went_offline(landed);
                let _ = reply.send(done);
            }
        }
    }

    /// The document, if what was applied is in force.
    fn in_force(&self) -> Result<Value, ApiError> {
        let standing = self.standing.snapshot();
        if standing.licensed {
            return Ok(self.document());
        }
        let (reason, hint) = not_in_force(&self.state, &standing, self.now());
        Err(ApiError::not_activated(reason, hint))
    }

    fn activated(&mut self, landed: Result<Outcome, Stuck>) -> Result<Value, ApiError> {
        match landed {
            Ok(Outcome::Granted) => {
                let code = tail(&self.code().unwrap_or_default());
                self.log.security(format_args!("license …{code} activated"));
                self.in_force()
            }
            Ok(outcome) => Err(denied(outcome)),
            Err(Stuck::Network(failure)) if failure.in_doubt && failure.refused.is_none() => {
                let sentence = format!("{}; it is tried again by itself", failure.sentence);
                Err(fault(Stuck::Network(Failure { sentence, ..failure }), true))
            }
            Err(stuck) => Err(fault(stuck, true)),
        }
    }
}

/// What to do about a license that was granted and is not in force.
pub(crate) fn not_in_force(
    state: &State,
    standing: &Entitlement,
    now: i64,
) -> (&'static str, String) {
    let reason = match standing.status.split(' ').next() {
        Some("-1") => "lease_expired",
        Some("-116") => "subscription_expired",
        _ => "not_in_force",
    };
    // The grant is for now, as the license service sees it; only our own clock can be past its end.
    let clock = now.saturating_sub(state.last_contact) > ASTRAY && state.last_contact > 0;
    let hint = if clock {
        format!(
            "{}; the appliance's clock says {}, and the license service said {}: set the clock",
            standing.message,
            utc::format(now),
            utc::format(state.last_contact)
        )
    } else {
        standing.message.clone()
    };
    (reason, hint)
}

/// The manual's words for a call that did not reach the license service.
pub(crate) fn fault(stuck: Stuck, activates: bool) -> ApiError {
    match stuck {
        Stuck::Disk(fault) => fault,
        Stuck::Network(failure) if activates && failure.hop != Hop::Blocked => {
            ApiError::offline(failure.hop.word(), failure.sentence)
        }
        Stuck::Network(failure) => ApiError::blocked(failure.hop.word(), failure.sentence),
    }
}

fn denied(outcome: Outcome) -> ApiError {
    match outcome {
        Outcome::Denied { reason, sentence, .. } => ApiError::not_activated(reason, sentence),
        _ => ApiError::not_activated("stale", "the license service has moved on since; try again"),
    }
}

fn not_removed(outcome: Outcome) -> ApiError {
    match outcome {
        Outcome::Denied { reason, code, sentence } => {
            ApiError::internal(reason, format!("Unable to remove license: {code}"), sentence)
        }
        _ => ApiError::internal("stale", "Unable to remove license: 0", "try again"),
    }
}
