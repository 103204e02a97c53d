//! `jobtoken`: the token that clients of the speech API present (MA-28).

use serde_json::json;
use zeroize::Zeroizing;

use super::refused;
use crate::management::Context;
use crate::management::api::body::Body;
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};
use crate::security::job_token_warning;

const KEY: &str = "user_token";

const EXAMPLE: &str = r#"{"user_token": "example"}"#;

/// Tells whether a token is set, never the token itself.
pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    let state = context.security.rules().snapshot().job_token.state();
    Ok(Response::json(&json!({"job_token": state})))
}

pub(crate) fn set(context: &Context, request: &mut Request) -> Answer {
    let body = Body::read(request, &[KEY], EXAMPLE);
    let token = Zeroizing::new(body.and_then(|mut body| body.string(KEY)).map_err(refused)?);
    context.security.set_job_token(&request.actor(), &token)?;
    let mut warnings: Vec<String> = job_token_warning(&token).into_iter().collect();
    if context.security.rules().snapshot().plain_http {
        warnings.push(
            "plain HTTP access is still enabled and carries the job token in clear".to_owned(),
        );
    }
    Ok(Response::success_with_warnings("job token set: jobs and realtime need it now", &warnings))
}

pub(crate) fn remove(context: &Context, request: &mut Request) -> Answer {
    Ok(Response::success(match context.security.remove_job_token(&request.actor())? {
        true => "job token removed: speech is open to whoever reaches it",
        false => "no job token was set: speech is open to whoever reaches it",
    }))
}
