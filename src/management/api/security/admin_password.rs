//! `adminpassword`: the password of the user `admin`.

use serde_json::json;
use zeroize::Zeroizing;

use super::refused;
use crate::config::Api;
use crate::management::Context;
use crate::management::api::body::Body;
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};
use crate::security::Password;

const KEY: &str = "password";

const EXAMPLE: &str = r#"{"password": "example"}"#;

/// Tells whether a password is set, never the password itself (M1-22).
pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    let state = context.security.rules().snapshot().password.state();
    Ok(Response::json(&json!({"admin_password": state})))
}

pub(crate) fn set(context: &Context, request: &mut Request) -> Answer {
    let body = Body::read(request, &[KEY], EXAMPLE);
    let password = body.and_then(|mut body| body.string(KEY)).map_err(refused)?;
    context.security.set_password(&request.actor(), &Zeroizing::new(password))?;
    Ok(match context.security.rules().snapshot().plain_http {
        true => Response::success(&format!("admin password set; {}", warning(context.config.api))),
        false => Response::success("admin password set"),
    })
}

/// The warning that a password protects little while plain HTTP is on.
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

pub(crate) fn unset(context: &Context, request: &mut Request) -> Answer {
    context.security.unset_password(&request.actor())?;
    Ok(Response::success(match context.security.rules().snapshot().password {
        Password::Off => "authentication is off: nobody is asked for a password",
        _ => "admin password unset",
    }))
}
