//! `acme`: the authority that issues the certificate, and how far that is.

use super::refused;
use crate::config::Acme;
use crate::management::Context;
use crate::management::api::body::{Body, Fault};
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};
use crate::security::AcmeRecord;

const EXAMPLE: &str =
    r#"{"directory": "https://ca.example.com/acme/directory", "names": ["appliance.example.com"]}"#;

/// The response instead of [`set`] to a request over plain HTTP.
pub(crate) const IN_CLEAR: &str = "ACME is set over HTTPS only, because the body may hold the key of your account: if it \
     did, others on the network can have read it, so have the authority replace it; nothing was changed";

pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    Ok(Response::json(&AcmeRecord::to_public_json(context.security.acme().as_deref())))
}

pub(crate) fn set(context: &Context, request: &mut Request) -> Answer {
    let config = wanted(request).map_err(refused)?;
    context.security.set_acme(&request.actor(), config)?;
    context.acme.wake();
    Ok(Response::success(
        "ACME is on; the certificate in use stays until another is there: GET acme shows how far that is",
    ))
}

pub(crate) fn end(context: &Context, request: &mut Request) -> Answer {
    let ended = context.security.end_acme(&request.actor());
    context.acme.wake();
    Ok(Response::success(if ended? {
        "ACME has ended: the certificate in use stays, and is not renewed any more"
    } else {
        "ACME was not on"
    }))
}

fn wanted(request: &mut Request) -> Result<Acme, Fault> {
    let body = Body::read(request, &Acme::MEMBERS, EXAMPLE)?;
    Acme::from_json(body.into_value()).map_err(|what| Fault::Invalid {
        what: what
            .strip_prefix("it ")
            .map_or_else(|| what.clone(), |rest| format!("the body {rest}")),
        example: EXAMPLE,
    })
}
