//! What stands under `/v1/security/` and `/v2/security/`, the same in both.
//!
//! In: reading what was sent, strictly, and saying what is true afterwards. Out: what a good key or
//! password is, and making a change durable; that is the [`SecuritySettings`](crate::security::SecuritySettings)'s.

pub(crate) mod admin_password;
pub(crate) mod certificate;
#[cfg(fuzzing)]
pub mod fuzz;
pub(crate) mod insecure_ports;
mod multipart;
pub(crate) mod reset;

use serde_json::Value;

use crate::util::json;

use super::answer::Answer;
use super::request::Request;

/// Reads a body that must be an object with the member `key` and no other.
///
/// `example` is a whole body that would do, for the person. The content type is not looked at: the
/// original's clients don't always send it.
fn only_member(request: &mut Request<'_>, key: &str, example: &str) -> Result<Value, Answer> {
    let body = request.read_body()?;
    let refused = |what: &str| Err(Answer::failure(400, &format!("{what}; send {example}")));
    if body.is_empty() {
        return refused("the request has no body");
    }
    // The parser's own words name a place but repeat no value, which may be a password.
    let members = match json::parse(&body) {
        Ok(Value::Object(members)) => members,
        Ok(other) => return refused(&format!("the body is {}, not an object", json::kind(&other))),
        Err(fault) => return refused(&format!("the body is {fault}")),
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
