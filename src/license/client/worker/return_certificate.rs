//! Return of a license that was activated with a certificate.
//!
//! The license is deleted before the return certificate is handed out, so that its seconds can't be both
//! used and credited. The vendor credits each certificate once.

use serde_json::{Value, json};

use super::in_flight::trust_error;
use super::{Worker, last_digits};
use crate::license::error::ApiError;
use crate::license::protocol::certificate::Certificate;
use crate::license::protocol::message::{Mode, Op, User};
use crate::license::protocol::wire;
use crate::license::state::entitlement::Phase;
use crate::license::state::record::ReturnCertificate;
use crate::license::state::sessions::Sessions;
use crate::license::state::transition::clear_license;
use crate::security::Actor;

impl Worker {
    /// The return certificate; it stays the same until a license is granted again.
    pub(crate) fn return_certificate(&mut self, by: &Actor) -> Result<Value, ApiError> {
        if let Some(returned) = &self.state.returned {
            return Ok(answer(returned));
        }
        match &self.state.phase {
            Phase::OfflineCertificate => {}
            Phase::Online | Phase::OfflineMode => {
                return Err(refused(
                    "activated_online",
                    "it was activated online: return it with DELETE license, while the license service can be \
                     reached and not in offline mode",
                ));
            }
            _ => {
                return Err(ApiError::input(
                    "no_license",
                    "No license to remove",
                    "no license was activated with a certificate here",
                ));
            }
        }
        // If the vendor has signed the renewal, its account is ahead of the appliance's.
        if self.state.pending_activation.is_some() {
            return Err(refused(
                "certificate_request_pending",
                "a renewal waits for its license certificate: apply that with PUT first",
            ));
        }
        let code = self.code().unwrap_or_default();
        let mut next = self.state.clone();
        // Running sessions can no longer be settled: their reserved seconds count as used.
        next.totals = next.totals.charge_held();
        let request = self.new_request(Op::Return, &code, Mode::Offline, User::default(), &next)?;
        let trust = self.trust.as_ref().map_err(trust_error)?;
        let sealed = wire::seal(&request, trust, self.now(), &self.device.key)
            .map_err(|error| trust_error(&error))?;
        let certificate = Certificate::Return(sealed.sealed)
            .write()
            .ok_or_else(|| refused("too_long", "ask your vendor to release it"))?;
        let returned = ReturnCertificate { certificate, seconds: next.totals.allowed() };
        clear_license(&mut next);
        next.returned = Some(returned.clone());
        self.commit(next)?;
        self.sessions = Sessions::default();
        self.log.security(format_args!(
            "license …{} returned with a return certificate by {by}",
            last_digits(&code)
        ));
        Ok(answer(&returned))
    }
}

fn answer(returned: &ReturnCertificate) -> Value {
    json!({
        "certificate": returned.certificate,
        "transcription_secs_returned": returned.seconds,
    })
}

fn refused(reason: &'static str, hint: &str) -> ApiError {
    ApiError::internal(reason, "Unable to make a return certificate", hint)
}
