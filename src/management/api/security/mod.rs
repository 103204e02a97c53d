//! The resources under `/v1/security/` and `/v2/security/`, equal in both.
//!
//! In: strict parsing of requests, and answers. Out: the rules for keys and passwords, and making a change
//! durable; [`SecuritySettings`](crate::security::SecuritySettings) does both.

pub(crate) mod admin_password;
pub(crate) mod certificate;
#[cfg(fuzzing)]
pub mod fuzz;
pub(crate) mod insecure_ports;
mod multipart;
pub(crate) mod reset;

use serde_json::Value;

use crate::util::json;

use super::request::Request;
use super::response::Response;

/// Reads a body that must be an object with the member `key` and no other.
///
/// `example` is a valid body for the error message. The content type is ignored, because the
/// rules do not require one (MA-16).
fn only_member(request: &mut Request<'_>, key: &str, example: &str) -> Result<Value, Response> {
    let body = request.read_body()?;
    let refused = |what: &str| Err(Response::failure(400, &format!("{what}; send {example}")));
    if body.is_empty() {
        return refused("the request has no body");
    }
    // The parser's error names a place but quotes no value, which may be a password.
    let members = match json::parse(&body) {
        Ok(Value::Object(members)) => members,
        Ok(other) => return refused(&format!("the body is {}, not an object", json::kind(&other))),
        Err(error) => return refused(&format!("the body is {error}")),
    };
    let mut found = None;
    for (name, value) in members {
        if name != key {
            return refused(&format!("the body has {}", json::unknown_key(&name, &[key])));
        }
        found = Some(value);
    }
    match found {
        Some(value) => Ok(value),
        None => refused(&format!("the body has no {key:?}")),
    }
}
