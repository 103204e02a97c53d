//! `reset`: default certificate back, password gone, plain HTTP on again.

use crate::management::Context;
use crate::management::api::answer::Answer;
use crate::management::api::request::Request;

pub(crate) fn all(context: &Context, request: &mut Request<'_>) -> Answer {
    match context.keeper.reset(&request.actor()) {
        // The manual's word; there is no nginx here, but scripts compare it.
        Ok(()) => Answer::success("nginx_restart"),
        Err(fault) => fault.into(),
    }
}
