//! `resource/mem` and `resource/cpu`: usage in percent.

use serde_json::json;

use super::request::Request;
use super::response::{Code, Response};
use crate::management::Context;

pub(crate) fn show(context: &Context, request: &mut Request) -> Response {
    let name = request.name();
    let member = match name.as_str() {
        "mem" => "percent",
        "cpu" => "total",
        _ => return Response::error(Code::NotFound, "there is no such resource: mem and cpu are"),
    };
    match context.monitor.stats(&name) {
        Ok(stats) => Response::json(&json!({"rId": name, "percentage": stats[member]})),
        Err(error) => Response::error(Code::Internal, &error.to_string()),
    }
}
