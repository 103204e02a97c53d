//! `sslcertificate`: shows the certificate in use, or replaces it and its key.

use std::time::SystemTime;

use super::multipart;
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};
use crate::security::Applied;
use crate::util::utc;

pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    let now = utc::unix_seconds(SystemTime::now());
    let acme = context.security.acme();
    let identity = context.security.identity().snapshot();
    Ok(Response::json(&identity.summary.to_json(acme.as_deref(), now)))
}

/// The response instead of [`replace`] to an upload over plain HTTP.
pub(crate) const IN_CLEAR: &str = "the private key has just crossed the network in clear: treat it as leaked, make a new \
     key and upload that one over HTTPS; nothing was changed";

/// Makes the default certificate anew.
pub(crate) fn renew_default(context: &Context, request: &mut Request) -> Answer {
    let made = context.security.renew_default(&request.actor(), SystemTime::now())?;
    if context.security.identity().snapshot().summary != made {
        return Ok(Response::success(
            "a new default certificate was made; the uploaded one stays in use until it is removed",
        ));
    }
    Ok(Response::success(&format!(
        "a new default certificate is in use: clients that trusted the old one must trust this one, \
         SHA-256 {}",
        made.sha256
    )))
}

pub(crate) fn replace(context: &Context, request: &mut Request) -> Answer {
    let refused = |error: String| refused(context, &error);
    let boundary = multipart::boundary(request.content_type.as_deref()).map_err(refused)?;
    let body = request.take_body()?;
    let multipart::Upload { certfile, keyfile } =
        multipart::upload(&body, &boundary).map_err(refused)?;
    let now = SystemTime::now();
    let applied = context.security.replace_certificate(&request.actor(), keyfile, certfile, now)?;
    context.acme.wake();
    let Applied { summary, ended_acme } = applied;
    let mut warnings = summary.warnings(utc::unix_seconds(now));
    warnings.extend(request.host().and_then(|host| summary.elsewhere(host)));
    if ended_acme {
        warnings.push(
            "ACME has ended: it would replace the certificate that you have uploaded; to have it back, \
             set it again with POST acme"
                .to_owned(),
        );
    }
    let done = "certificate and private_key applied successfully";
    Ok(Response::success_with_warnings(done, &warnings))
}

fn refused(context: &Context, error: &str) -> Response {
    let generation = if context.config.api.v1 { "v1" } else { "v2" };
    Response::failure(
        400,
        &format!(
            "{error}; upload both files as in: curl -X POST \
             \"https://${{APPLIANCE_HOST}}/{generation}/security/sslcertificate\" \
             -F \"keyfile=@appliance.key\" -F \"certfile=@appliance.crt\""
        ),
    )
}
