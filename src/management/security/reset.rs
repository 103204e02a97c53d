//! `reset`: default certificate back, password gone, plain HTTP on again.

use super::super::Context;
use super::super::answer::Answer;
use super::super::request::Request;

pub(in super::super) fn all(context: &Context, request: &mut Request<'_>) -> Answer {
    match context.keeper.reset(&request.actor()) {
        // The manual's word; there is no nginx here, but scripts compare it.
        Ok(()) => Answer::success("nginx_restart"),
        Err(fault) => fault.into(),
    }
}
