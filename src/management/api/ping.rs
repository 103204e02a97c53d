//! `ping`: a reply that shows the daemon is up. The wording is ours; only its shape is public.

use serde_json::json;

use super::request::Request;
use super::response::Response;
use crate::management::Context;

pub(crate) fn management(_: &Context, _: &mut Request) -> Response {
    Response::json(&json!({"reply": "management is running"}))
}

pub(crate) fn license(_: &Context, _: &mut Request) -> Response {
    Response::json(&json!({"reply": "license management is running"}))
}
