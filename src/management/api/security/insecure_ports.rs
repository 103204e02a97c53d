//! `insecureports`: turns plain HTTP on or off, on every listener at once.

use serde_json::json;

use super::only_member;
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Response;
use crate::util::json::kind;

const KEY: &str = "enable_insecure_ports";

const EXAMPLE: &str = r#"{"enable_insecure_ports": false}"#;

pub(crate) fn show(context: &Context, _: &mut Request<'_>) -> Response {
    Response::json(&json!({KEY: context.security.rules().snapshot().plain_http}))
}

pub(crate) fn set(context: &Context, request: &mut Request<'_>) -> Response {
    let enabled = match only_member(request, KEY, EXAMPLE) {
        Ok(value) => match value.as_bool() {
            Some(enabled) => enabled,
            None => {
                let found = kind(&value);
                return Response::failure(
                    400,
                    &format!("{KEY:?} is {found}, not true or false; send {EXAMPLE}"),
                );
            }
        },
        Err(answer) => return answer,
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
