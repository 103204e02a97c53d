//! `resource/mem` and `resource/cpu`: how much of it is in use, in percent.

use serde_json::json;

use super::answer::{Answer, Code};
use super::request::Request;
use crate::management::Context;

pub(crate) fn show(context: &Context, request: &mut Request<'_>) -> Answer {
    let name = request.name();
    let member = match name.as_str() {
        "mem" => "percent",
        "cpu" => "total",
        _ => return Answer::error(Code::NotFound, "there is no such resource: mem and cpu are"),
    };
    match context.monitor.stats(&name) {
        Ok(stats) => Answer::json(&json!({"rId": name, "percentage": stats[member]})),
        Err(cause) => Answer::error(Code::Internal, &cause),
    }
}
