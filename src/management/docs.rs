//! The API's description, and the page to read it.

use serde_json::json;

use super::Context;
use super::answer::Answer;
use super::html;
use super::request::Request;

pub(super) fn show(_context: &Context, _request: &mut Request<'_>) -> Answer {
    html::page(include_str!("docs.html"))
}

/// OpenAPI 3.1.
pub(super) fn description(_context: &Context, _request: &mut Request<'_>) -> Answer {
    Answer::json(&json!({"openapi": "3.1.0", "paths": {}}))
}
