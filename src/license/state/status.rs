//! The status document (ML-9): every field, always, in its order.

use std::time::Duration;

use serde_json::{Value, json};

use super::clock::{BootInstant, Clock, ClockReading};
use super::entitlement::{Entitlement, Inputs, Phase, Terms, evaluate};
use super::record::{Grant, State};
use super::sessions::Totals;
use crate::config;
use crate::license::protocol::token::Type;
use crate::util::utc;

/// How long after an answer the appliance counts as connected.
const CONNECTED: Duration = Duration::from_secs(60);

/// The license in numbers, for monitoring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// `licensed` of the status document (ML-9).
    pub(crate) licensed: bool,
    /// The number that `status` of the status document begins with.
    pub(crate) status: i64,
    /// The authority has answered lately.
    pub(crate) connected: bool,
    /// Seconds of speech that may still be reserved.
    pub(crate) allowed: u64,
    /// When it ends unless the authority renews it, in seconds since 1970, if there is a license.
    pub(crate) lease_end: Option<i64>,
    /// End of the subscription, in seconds since 1970, if there is a license.
    pub(crate) end: Option<i64>,
}

/// What readers see: the last committed state, and the contact with the authority.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    settings: config::License,
    computer_id: String,
    phase: Phase,
    awaits_certificate: bool,
    grant: Option<Grant>,
    totals: Totals,
    clock: Clock,
    last_contact: i64,
    is_unknown: bool,
    pub(crate) contact: Contact,
    /// No request can be sent: the authority's keys are missing, or the appliance is offline.
    pub(crate) is_silent: bool,
}

/// The parts of a [`Snapshot`] that are not in the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contact {
    /// When the authority last answered.
    pub(crate) last_answer: Option<BootInstant>,
    /// When the last attempt ended, successful or not.
    pub(crate) last_attempt: Option<BootInstant>,
    /// When the attempt in progress began.
    pub(crate) in_progress_since: Option<BootInstant>,
    /// Why the last attempt to reach the authority failed; empty if it succeeded.
    pub(crate) error: String,
    /// Why no license can be verified, if the authority's keys are missing.
    pub(crate) trust_error: Option<String>,
}

impl Snapshot {
    pub(crate) fn new(
        settings: &config::License,
        computer_id: &str,
        state: &State,
        awaits_certificate: bool,
        contact: Contact,
    ) -> Snapshot {
        Snapshot {
            settings: settings.clone(),
            computer_id: computer_id.to_owned(),
            phase: state.phase.clone(),
            awaits_certificate,
            grant: state.grant.clone(),
            totals: state.totals,
            clock: state.clock.clone(),
            last_contact: state.last_contact,
            is_unknown: state.is_unknown,
            is_silent: state.phase.is_offline() || contact.trust_error.is_some(),
            contact,
        }
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.phase.is_offline()
    }

    fn is_connected(&self) -> bool {
        !self.is_silent && self.contact.last_answer.is_some_and(|at| at.elapsed() < CONNECTED)
    }

    /// What the license allows at `reading`.
    pub(crate) fn entitlement(&self, reading: &ClockReading) -> Entitlement {
        evaluate(&Inputs {
            phase: self.phase.clone(),
            awaits_certificate: self.awaits_certificate,
            terms: self.grant.as_ref().map(|grant| terms(&self.phase, grant)).unwrap_or_default(),
            allowed: self.totals.allowed(),
            now: self.clock.at(reading),
            silent_since: (!self.is_connected() && self.last_contact > 0)
                .then_some(self.last_contact),
            is_unknown: self.is_unknown,
        })
    }

    /// What prevents transcription, as messages; empty if nothing does.
    pub(crate) fn errors(&self, reading: &ClockReading) -> Vec<String> {
        let Entitlement { may_transcribe, status, message, .. } = self.entitlement(reading);
        let why = match message.as_str() {
            "" if self.awaits_certificate => "waiting for a license certificate",
            "" => "there is no license; apply one",
            message => message,
        };
        let refused = (!may_transcribe).then(|| format!("{why} ({status})"));
        refused.into_iter().chain(self.contact.trust_error.clone()).collect()
    }

    /// The totals of usage since the license was activated, in seconds.
    pub(crate) fn usage(&self) -> Totals {
        self.totals
    }

    /// The license in numbers.
    pub(crate) fn standing(&self, reading: &ClockReading) -> Standing {
        let Entitlement { licensed, status, .. } = self.entitlement(reading);
        let grant = self.grant.as_ref().filter(|_| self.phase.has_license());
        let terms = grant.map(|grant| terms(&self.phase, grant));
        let number = status.split(' ').next().and_then(|number| number.parse().ok());
        Standing {
            licensed,
            status: number.unwrap_or_default(),
            connected: self.is_connected(),
            allowed: if licensed { self.totals.allowed() } else { 0 },
            lease_end: terms.as_ref().map(Terms::end),
            end: terms.as_ref().map(|terms| terms.expires),
        }
    }

    /// The document, with the order and types of ML-9.
    pub(crate) fn document(&self, reading: &ClockReading) -> Value {
        let entitlement = self.entitlement(reading);
        let grant = self.grant.as_ref().filter(|_| self.phase.has_license());
        let allowed = if entitlement.licensed { self.totals.allowed() } else { 0 };
        let lease = grant.map(|grant| &grant.lease);
        json!({
            "licensed": entitlement.licensed,
            "product": lease.map_or(self.settings.product.as_str(), |lease| lease.product.as_str()),
            "subscription_expiry": utc::format(lease.map_or(0, |lease| lease.exp)),
            "status": entitlement.status,
            "message": entitlement.message,
            "transcription_minutes_allowed": (allowed / 60).to_string(),
            "license_type": lease.map_or("", |lease| license_type(lease.kind)),
            "activation_type": grant.map_or("", activation_type),
            "transcription_secs_allowed": allowed,
            "transcription_secs_allocated": lease.map_or(
                i64::from(self.settings.transcription_secs_allocated), |lease| lease.allocated),
            "connected": self.is_connected(),
            "customer_id": lease.map_or(
                i64::from(self.settings.customer_id), |lease| lease.customer_id),
            "license_code": lease.map_or("", |lease| lease.license.as_str()),
            "computer_id": self.computer_id,
            "error_message": self.contact.error,
        })
    }
}

/// The terms of a grant that decide. Offline, the longer of both limits counts, because both are signed.
fn terms(phase: &Phase, grant: &Grant) -> Terms {
    let lease = &grant.lease;
    let holds_until =
        if phase.is_offline() { lease.lease_exp.max(lease.offline_until) } else { lease.lease_exp };
    Terms { kind: lease.kind, expires: lease.exp, grace: lease.grace, holds_until }
}

/// The text of a license type (MA-21).
fn license_type(kind: i64) -> &'static str {
    match kind {
        2 => "2 License is trial",
        3 => "3 License is permanent",
        4 => "4 License is permanent and concurrent",
        5 => "5 License is subscription",
        6 => "6 License is concurrent subscription",
        _ => "",
    }
}

fn activation_type(grant: &Grant) -> &'static str {
    if grant.kind == Type::LicenseCertificate {
        "2 License was activated with a certificate"
    } else {
        "1 License was activated online"
    }
}
