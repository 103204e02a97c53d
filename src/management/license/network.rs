//! `license/network`: the proxy on the way to the license service.

use super::super::Context;
use super::super::answer::Answer;
use super::super::request::Request;
use super::body::Body;
use super::{answer, failure};
use crate::license::network::{EXAMPLE, Proxy};

pub(in super::super) fn show(context: &Context, request: &mut Request<'_>) -> Answer {
    match context.license.proxy() {
        Ok(proxy) => Answer::json(&Proxy::to_body(proxy.as_ref())),
        Err(fault) => failure(request, &fault),
    }
}

pub(in super::super) fn set(context: &Context, request: &mut Request<'_>) -> Answer {
    let done = Body::read(request, EXAMPLE)
        .and_then(|body| context.license.set_proxy(body.value(), request.actor()));
    answer(request, done)
}
