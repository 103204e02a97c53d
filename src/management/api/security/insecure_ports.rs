//! `insecureports`: plain HTTP, on or off on every listener at once.

use serde_json::json;

use super::only_member;
use crate::management::Context;
use crate::management::api::answer::Answer;
use crate::management::api::request::Request;
use crate::util::json::kind;

const KEY: &str = "enable_insecure_ports";

const EXAMPLE: &str = r#"{"enable_insecure_ports": false}"#;

pub(crate) fn show(context: &Context, _: &mut Request<'_>) -> Answer {
    Answer::json(&json!({KEY: context.keeper.rules().snapshot().plain_http}))
}

pub(crate) fn set(context: &Context, request: &mut Request<'_>) -> Answer {
    let enabled = match only_member(request, KEY, EXAMPLE) {
        Ok(value) => match value.as_bool() {
            Some(enabled) => enabled,
            None => {
                let found = kind(&value);
                return Answer::failure(
                    400,
                    &format!("{KEY:?} is {found}, not true or false; send {EXAMPLE}"),
                );
            }
        },
        Err(answer) => return answer,
    };
    match context.keeper.set_plain_http(&request.actor(), enabled) {
        Ok(()) if enabled => Answer::success("plain HTTP access enabled"),
        Ok(()) if context.config.listen.iter().any(|listen| listen.tls) => {
            Answer::success("plain HTTP access disabled")
        }
        Ok(()) => Answer::success(
            "plain HTTP access disabled; no listener speaks HTTPS, so only the console reaches \
             this appliance now",
        ),
        Err(fault) => fault.into(),
    }
}
