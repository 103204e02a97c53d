//! `reset`: restores the default certificate, removes the password and the job token, turns plain HTTP on,
//! ends ACME.

use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};

/// The word of M1-30: there is no nginx here, but scripts compare it.
const DONE: &str = "nginx_restart";

pub(crate) fn all(context: &Context, request: &mut Request) -> Answer {
    let had_acme = context.security.acme().is_some();
    let done = context.security.reset(&request.actor());
    context.acme.wake();
    done?;
    let ended_acme = had_acme && context.security.acme().is_none();
    let warning = "ACME has ended: no certificate is fetched until it is set again".to_owned();
    let warnings = if ended_acme { vec![warning] } else { Vec::new() };
    Ok(Response::success_with_warnings(DONE, &warnings))
}
