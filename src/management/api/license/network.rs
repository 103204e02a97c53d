//! `license/network`: the proxy for connections to the license service.

use super::{answer, body};
use crate::license::client::proxy::{EXAMPLE, MEMBERS, Proxy};
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Answer;

pub(crate) fn show(context: &Context, request: &mut Request) -> Answer {
    answer(request, context.license.proxy().map(|proxy| Proxy::to_body(proxy.as_ref())))
}

pub(crate) fn set(context: &Context, request: &mut Request) -> Answer {
    let done = (|| {
        let body = body::read(request, &MEMBERS, EXAMPLE)?;
        context.license.set_proxy(body.into_value(), request.actor())
    })();
    answer(request, done)
}
