//! What stands under `/v1/management/license` and, in plain words, `/v2/management/license`.
//!
//! In: reading what was sent, strictly, and the two shapes of errors. Out: what a license is and
//! allows ([`crate::license`]).

mod body;

pub(crate) mod network;
pub(crate) mod offline;
pub(crate) mod online;

use serde_json::{Value, json};

use crate::license::ApiError;

use super::request::Request;
use super::response::Response;

/// A failed call in the words of the generation that was asked.
fn failure(request: &Request<'_>, fault: &ApiError) -> Response {
    let error =
        if request.path.starts_with("/v1/") { fault.v1_text() } else { fault.detail.clone() };
    let value = json!({
        "error": error,
        "code": fault.code(),
        "reason": fault.reason,
        "hint": fault.hint,
    });
    let status = if fault.code() == 3 { 400 } else { 500 };
    Response { status, ..Response::json(&value) }
}

/// What was done, or why not.
fn answer(request: &Request<'_>, done: Result<Value, ApiError>) -> Response {
    match done {
        Ok(value) => Response::json(&value),
        Err(fault) => failure(request, &fault),
    }
}
