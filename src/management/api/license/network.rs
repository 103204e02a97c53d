//! `license/network`: the proxy for connections to the license service.

use super::body::Body;
use super::{answer, failure};
use crate::license::client::proxy::{EXAMPLE, Proxy};
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Response;

pub(crate) fn show(context: &Context, request: &mut Request<'_>) -> Response {
    match context.license.proxy() {
        Ok(proxy) => Response::json(&Proxy::to_body(proxy.as_ref())),
        Err(fault) => failure(request, &fault),
    }
}

pub(crate) fn set(context: &Context, request: &mut Request<'_>) -> Response {
    let done = Body::read(request, EXAMPLE)
        .and_then(|body| context.license.set_proxy(body.value(), request.actor()));
    answer(request, done)
}
