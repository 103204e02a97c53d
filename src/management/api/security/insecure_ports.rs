//! `insecureports`: turns plain HTTP on or off, on every listener at once.

use serde_json::json;

use super::refused;
use crate::management::Context;
use crate::management::api::body::Body;
use crate::management::api::request::Request;
use crate::management::api::response::Response;

const KEY: &str = "enable_insecure_ports";

const EXAMPLE: &str = r#"{"enable_insecure_ports": false}"#;

pub(crate) fn show(context: &Context, _: &mut Request) -> Response {
    Response::json(&json!({KEY: context.security.rules().snapshot().plain_http}))
}

pub(crate) fn set(context: &Context, request: &mut Request) -> Response {
    let body = Body::read(request, &[KEY], EXAMPLE);
    let enabled = match body.and_then(|mut body| body.flag(KEY)) {
        Ok(enabled) => enabled,
        Err(fault) => return refused(fault),
    };
    match context.security.set_plain_http(&request.actor(), enabled) {
        Ok(()) if enabled => Response::success("plain HTTP access enabled"),
        Ok(()) if context.config.listen.iter().any(|listen| listen.tls) => {
            Response::success("plain HTTP access disabled")
        }
        Ok(()) => Response::success(
            "plain HTTP access disabled; no listener speaks HTTPS, so only the console reaches \
             this appliance now",
        ),
        Err(error) => error.into(),
    }
}
