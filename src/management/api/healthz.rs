//! `/healthz`: whether a load balancer should send work here. It needs no password, so it tells nothing else.

use super::readiness::Finding;
use super::request::Request;
use super::response::{Answer, Response};
use crate::management::Context;

/// 200 or 503, by what is found now or was within the last second.
pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    Ok(answer(context, &context.readiness.look(&context.config)))
}

/// The same from memory.
pub(crate) fn recent(context: &Context, _: &mut Request) -> Answer {
    Ok(answer(context, &context.readiness.last()))
}

fn answer(context: &Context, finding: &Finding) -> Response {
    let may_transcribe = context.license.entitlement().snapshot().may_transcribe;
    let is_ready = finding.is_ready(&context.config, may_transcribe);
    if is_ready && !context.readiness.is_draining() {
        return Response::text(200, "text/plain", "ok\n".to_owned());
    }
    let mut answer = Response::text(503, "text/plain", "unavailable\n".to_owned());
    answer.headers.push(("Retry-After", "1".into()));
    answer
}
