//! `license/network`: the proxy for connections to the license service.

use super::{answer, body, failure};
use crate::license::client::proxy::{EXAMPLE, MEMBERS, Proxy};
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Response;

pub(crate) fn show(context: &Context, request: &mut Request) -> Response {
    match context.license.proxy() {
        Ok(proxy) => Response::json(&Proxy::to_body(proxy.as_ref())),
        Err(fault) => failure(request, &fault),
    }
}

pub(crate) fn set(context: &Context, request: &mut Request) -> Response {
    let done = (|| {
        let body = body::read(request, &MEMBERS, EXAMPLE)?;
        context.license.set_proxy(body.into_value(), request.actor())
    })();
    answer(request, done)
}
