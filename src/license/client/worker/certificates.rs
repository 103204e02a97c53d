//! Certificates: sealed for the vendor, or verified.

use serde_json::Value;

use super::Worker;
use super::in_flight::trust_error;
use crate::license::error::ApiError;
use crate::license::protocol::certificate::Certificate;
use crate::license::protocol::claims::Lease;
use crate::license::protocol::message::Op;
use crate::license::protocol::trust::Dates;
use crate::license::protocol::wire;
use crate::license::state::clock::ClockReading;
use crate::license::state::plan;
use crate::license::state::plan::{NewRequest, Plan, not_imported};
use crate::license::state::record::State;
use crate::license::state::transition::Identity;
use crate::util::utc;

impl Worker {
    /// Makes a request from `state` and seals it in a certificate.
    pub(crate) fn certify(&self, new: NewRequest, state: State) -> Result<Plan, ApiError> {
        let request = self.new_request(new, &state)?;
        let trust = self.trust.as_ref().map_err(trust_error)?;
        let sealed = wire::seal(&request, trust, self.now(), &self.device.key)
            .map_err(|error| trust_error(&error))?
            .sealed;
        let certificate = match request.op {
            Op::Return => Certificate::Return(sealed),
            _ => Certificate::Activation(sealed),
        };
        plan::certified(state, request, certificate.write())
    }

    /// Verifies a license certificate, which must be in force, or become so once the clock is right.
    pub(crate) fn verify(&mut self, token: String, code: &str) -> Result<Plan, ApiError> {
        let lease = self.verify_certificate(&token)?;
        let who = Identity {
            computer_id: &self.device.computer_id,
            device: self.device.key.public().fingerprint(),
        };
        let plan = plan::verified(&self.state, token, lease, code, who, &ClockReading::now())?;
        // A certificate that is not in force now may still be applied once the clock is right.
        if let Plan::Save { state, .. } = &plan {
            self.check_in_force(state)?;
        }
        Ok(plan)
    }

    pub(crate) fn check_in_force(&self, state: &State) -> Result<(), ApiError> {
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
        Err(not_imported("not_in_force", hint))
    }

    /// Verifies a license certificate. It may be the first source of the time for a machine without a
    /// clock: if the clock is behind the date of the certificate, that date counts as now, and a wrong
    /// future year that the machine once assumed does not prevent its correction.
    fn verify_certificate(&mut self, token: &str) -> Result<Lease, ApiError> {
        let now = self.state.clock.without_soft_floor(&ClockReading::now());
        let trust = self.trust.as_mut().map_err(|error| trust_error(&*error))?;
        let known = trust.bundle_token().to_owned();
        let refused = |error: crate::license::protocol::trust::Error| {
            not_imported("certificate_not_genuine", format!("the certificate was refused: {error}"))
        };
        let read = |payload: &Value| {
            Lease::from_json(payload).map_err(|error| {
                not_imported(
                    "certificate_not_genuine",
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
}
