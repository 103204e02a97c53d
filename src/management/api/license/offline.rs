//! `license/offlineactivation` and `license/offlinemode`: licensing without a route to the license service.

use serde_json::json;

use super::answer;
use super::body::Body;
use crate::license::ApiError;
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Response;

const REQUEST: &str = r#"{"license": "494853989762904933", "username": "…", "email_address": "…"}"#;

const APPLY: &str = r#"{"license": "494853989762904933", "certificate": "7bc3c6684…"}"#;

const MODE: &str = r#"{"offline": true}"#;

/// Answers with the activation certificate. A license certificate sent here is a mistake that ML-36
/// names; the request it answers stays valid.
pub(crate) fn request(context: &Context, request: &mut Request<'_>) -> Response {
    let done = (|| {
        let mut body = Body::read(request, REQUEST)?;
        if body.text("certificate")?.is_some() {
            return Err(ApiError::internal(
                "certificate_request_pending",
                "Unable to request activation certificate: -1121",
                "to apply a license certificate use PUT; the activation certificate you have stays valid",
            ));
        }
        let (code, applicant) = (body.code()?, body.applicant()?);
        body.end()?;
        context.license.activation_certificate(code, applicant, request.actor())
    })();
    answer(request, done.map(|certificate| json!({"certificate": certificate})))
}

pub(crate) fn apply(context: &Context, request: &mut Request<'_>) -> Response {
    let done = (|| {
        let mut body = Body::read(request, APPLY)?;
        let code = body.code()?;
        let certificate = body.text("certificate")?;
        let certificate = certificate.ok_or_else(|| {
            ApiError::input(
                "certificate_missing",
                "Unable to import certificate: -1114",
                format!("the license certificate is missing; send {APPLY}"),
            )
        })?;
        // A client may repeat the applicant of its request (ML-19), which is not used here.
        body.applicant()?;
        body.end()?;
        context.license.apply_certificate(code, certificate, request.actor())
    })();
    answer(request, done)
}

/// Answers with the return certificate and the seconds it gives back.
pub(crate) fn give_back(context: &Context, request: &mut Request<'_>) -> Response {
    let done = context.license.return_certificate(request.actor());
    answer(request, done)
}

pub(crate) fn show_mode(context: &Context, _: &mut Request<'_>) -> Response {
    Response::json(&context.license.offline_status())
}

pub(crate) fn set_mode(context: &Context, request: &mut Request<'_>) -> Response {
    let done = (|| {
        let mut body = Body::read(request, MODE)?;
        let offline = body.flag("offline")?;
        body.end()?;
        context.license.set_offline(offline, request.actor())
    })();
    answer(request, done)
}
