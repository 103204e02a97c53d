//! `license/network`: the proxy on the way to the license service.

use super::body::Body;
use super::{answer, failure};
use crate::license::client::proxy::{EXAMPLE, Proxy};
use crate::management::Context;
use crate::management::api::answer::Answer;
use crate::management::api::request::Request;

pub(crate) fn show(context: &Context, request: &mut Request<'_>) -> Answer {
    match context.license.proxy() {
        Ok(proxy) => Answer::json(&Proxy::to_body(proxy.as_ref())),
        Err(fault) => failure(request, &fault),
    }
}

pub(crate) fn set(context: &Context, request: &mut Request<'_>) -> Answer {
    let done = Body::read(request, EXAMPLE)
        .and_then(|body| context.license.set_proxy(body.value(), request.actor()));
    answer(request, done)
}
