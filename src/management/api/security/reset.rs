//! `reset`: restores the default certificate, removes the password, turns plain HTTP on.

use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Response;

pub(crate) fn all(context: &Context, request: &mut Request) -> Response {
    match context.security.reset(&request.actor()) {
        // The word of M1-30: there is no nginx here, but scripts compare it.
        Ok(()) => Response::success("nginx_restart"),
        Err(error) => error.into(),
    }
}
