//! `license`: shows, applies or returns the license.

use super::{answer, body};
use crate::license::Action;
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};

const EXAMPLE: &str = r#"{"license": "494953679762904933", "username": "…", "email_address": "…", "company_name": "…"}"#;

pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    Ok(Response::json(&context.license.status()))
}

pub(crate) fn apply(context: &Context, request: &mut Request) -> Answer {
    let done = (|| {
        let mut body = body::read(request, &body::ACTIVATION, EXAMPLE)?;
        let (code, applicant) = (body::code(&mut body)?, body::applicant(&mut body)?);
        context.license.perform(Action::Activate { code, user: applicant }, request.actor())
    })();
    answer(request, done)
}

pub(crate) fn remove(context: &Context, request: &mut Request) -> Answer {
    let done = context.license.perform(Action::Remove, request.actor());
    answer(request, done)
}
