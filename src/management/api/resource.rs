//! `resource/mem` and `resource/cpu`: usage in percent.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::Request;
use super::response::{Answer, Code, Response};
use crate::management::Context;

pub(crate) fn show(context: &Context, request: &mut Request) -> Answer {
    let name = request.name();
    let member = match name.as_str() {
        "mem" => "percent",
        "cpu" => "total",
        _ => {
            let text = "there is no such resource: mem and cpu are";
            return Err(Response::error(Code::NotFound, text));
        }
    };
    let stats = context.monitor.stats(&name);
    let share = |stats: Arc<Value>| json!({"rId": name, "percentage": stats[member]});
    Response::json_or_error(stats.map(share))
}
