//! `ping`: whether anybody is there. The reply's words are ours; only its shape is public.

use serde_json::json;

use super::Context;
use super::answer::Answer;
use super::request::Request;

pub(super) fn management(_: &Context, _: &mut Request<'_>) -> Answer {
    Answer::json(&json!({"reply": "management is running"}))
}

pub(super) fn license(_: &Context, _: &mut Request<'_>) -> Answer {
    Answer::json(&json!({"reply": "license management is running"}))
}
