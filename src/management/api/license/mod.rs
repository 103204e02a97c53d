//! The resources under `/v1/management/license` and `/v2/management/license`.
//!
//! In: strict parsing of requests, and the two shapes of errors. Out: what a license is and
//! allows ([`crate::license`]).

mod body;

pub(crate) mod network;
pub(crate) mod offline;
pub(crate) mod online;

use serde_json::{Value, json};

use crate::license::ApiError;

use super::request::Request;
use super::response::{Answer, Response};

/// The answer to a failed call, in the wording of the API generation.
fn failure(request: &Request, fault: &ApiError) -> Response {
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

/// The answer to a call.
fn answer(request: &Request, done: Result<Value, ApiError>) -> Answer {
    done.map(|value| Response::json(&value)).map_err(|fault| failure(request, &fault))
}
