//! `adminpassword`: the one password, of the user `admin`.

use serde_json::json;
use zeroize::Zeroizing;

use super::only_member;
use crate::config::Api;
use crate::management::Context;
use crate::management::api::answer::Answer;
use crate::management::api::request::Request;
use crate::security::Password;
use crate::util::json::kind;

const KEY: &str = "password";

const EXAMPLE: &str = r#"{"password": "example"}"#;

/// Tells what there is, never the password (ours; the manuals have no GET).
pub(crate) fn show(context: &Context, _: &mut Request<'_>) -> Answer {
    let word = match &context.keeper.rules().snapshot().password {
        Password::Unset => "unset",
        Password::Off => "off",
        Password::Locked => "locked",
        Password::Set(_) => "set",
    };
    Answer::json(&json!({"admin_password": word}))
}

pub(crate) fn set(context: &Context, request: &mut Request<'_>) -> Answer {
    let password = match only_member(request, KEY, EXAMPLE) {
        Ok(serde_json::Value::String(password)) => Zeroizing::new(password),
        Ok(other) => {
            let found = kind(&other);
            return Answer::failure(
                400,
                &format!("{KEY:?} is {found}, not a string; send {EXAMPLE}"),
            );
        }
        Err(answer) => return answer,
    };
    match context.keeper.set_password(&request.actor(), &password) {
        Ok(()) if context.keeper.rules().snapshot().plain_http => {
            Answer::success(&format!("admin password set; {}", warning(context.config.api)))
        }
        Ok(()) => Answer::success("admin password set"),
        Err(fault) => fault.into(),
    }
}

/// What a password is worth while plain HTTP is on.
fn warning(api: Api) -> String {
    let generation = if api.v1 { "v1" } else { "v2" };
    let danger = if api.v2 {
        "plain HTTP access is still enabled and carries the password in clear"
    } else {
        "plain HTTP access is still enabled and does not ask for the password, so anybody can replace it"
    };
    format!(
        "{danger}: disable it with POST /{generation}/security/insecureports {{\"enable_insecure_ports\": false}}"
    )
}

pub(crate) fn unset(context: &Context, request: &mut Request<'_>) -> Answer {
    if let Err(fault) = context.keeper.unset_password(&request.actor()) {
        return fault.into();
    }
    match context.keeper.rules().snapshot().password {
        Password::Off => Answer::success("authentication is off: nobody is asked for a password"),
        _ => Answer::success("admin password unset"),
    }
}
