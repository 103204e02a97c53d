//! `insecureports`: turns plain HTTP on or off, on every listener at once.

use serde_json::json;

use super::refused;
use crate::management::Context;
use crate::management::api::body::Body;
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};

const KEY: &str = "enable_insecure_ports";

const EXAMPLE: &str = r#"{"enable_insecure_ports": false}"#;

pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    Ok(Response::json(&json!({KEY: context.security.rules().snapshot().plain_http})))
}

pub(crate) fn set(context: &Context, request: &mut Request) -> Answer {
    let body = Body::read(request, &[KEY], EXAMPLE);
    let enabled = body.and_then(|mut body| body.flag(KEY)).map_err(refused)?;
    context.security.set_plain_http(&request.actor(), enabled)?;
    Ok(Response::success(if enabled {
        "plain HTTP access enabled"
    } else if context.config.listen.iter().any(|listen| listen.tls) {
        "plain HTTP access disabled"
    } else {
        "plain HTTP access disabled; no listener speaks HTTPS, so only the console reaches \
         this appliance now"
    }))
}
