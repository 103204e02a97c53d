//! `license/offlineactivation` and `license/offlinemode`: licensing without a route to the license service.

use super::{answer, body};
use crate::license::{Action, ApiError};
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};

/// A request for an activation certificate may hold a certificate by mistake, its answer may repeat the
/// applicant (ML-19).
const KNOWN: [&str; 5] = ["license", "certificate", "username", "email_address", "company_name"];

const REQUEST: &str = r#"{"license": "494853989762904933", "username": "…", "email_address": "…"}"#;

const APPLY: &str = r#"{"license": "494853989762904933", "certificate": "7bc3c6684…"}"#;

const MODE: &str = r#"{"offline": true}"#;

/// Answers with the activation certificate. A license certificate sent here is a mistake that ML-36
/// names; the request it answers stays valid.
pub(crate) fn request(context: &Context, request: &mut Request) -> Answer {
    let done = (|| {
        let mut body = body::read(request, &KNOWN, REQUEST)?;
        if body.optional_string("certificate")?.is_some() {
            return Err(ApiError::internal(
                "certificate_request_pending",
                "Unable to request activation certificate: -1121",
                "to apply a license certificate use PUT; the activation certificate you have stays valid",
            ));
        }
        let (code, applicant) = (body::code(&mut body)?, body::applicant(&mut body)?);
        context
            .license
            .perform(Action::RequestCertificate { code, user: applicant }, request.actor())
    })();
    answer(request, done)
}

pub(crate) fn apply(context: &Context, request: &mut Request) -> Answer {
    let done = (|| {
        let mut body = body::read(request, &KNOWN, APPLY)?;
        let code = body::code(&mut body)?;
        let certificate = body.optional_string("certificate")?;
        let certificate = certificate.ok_or_else(|| {
            ApiError::input(
                "certificate_missing",
                "Unable to import certificate: -1114",
                format!("the license certificate is missing; send {APPLY}"),
            )
        })?;
        // The applicant is not used here.
        body::applicant(&mut body)?;
        context.license.perform(Action::ApplyCertificate { code, certificate }, request.actor())
    })();
    answer(request, done)
}

/// Answers with the return certificate and the seconds it gives back.
pub(crate) fn give_back(context: &Context, request: &mut Request) -> Answer {
    let done = context.license.perform(Action::ReturnCertificate, request.actor());
    answer(request, done)
}

pub(crate) fn show_mode(context: &Context, _: &mut Request) -> Answer {
    Ok(Response::json(&context.license.offline_status()))
}

pub(crate) fn set_mode(context: &Context, request: &mut Request) -> Answer {
    let done = (|| {
        let offline = body::read(request, &["offline"], MODE)?.flag("offline")?;
        context.license.set_offline(offline, request.actor())
    })();
    answer(request, done)
}
