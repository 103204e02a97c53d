//! `logs/{name}`: the daemon's last log lines about one of its parts or services.
//!
//! `gate` has every request and failed TLS handshakes, `monitoring` and a configured service have the
//! requests that went to them, and `management` has the rest: operations, errors and security events.

use serde_json::json;

use super::request::Request;
use super::response::{Answer, Code, Response};
use super::{query, services};
use crate::log::Kind;
use crate::management::Context;

/// Number of lines without a `count`.
const USUAL: i64 = 100;

pub(crate) fn show(context: &Context, request: &mut Request) -> Answer {
    let name = request.name();
    if !services::is_listed(&context.config, &name) {
        let text = "there is no such service; GET services has the names";
        return Err(Response::error(Code::NotFound, text));
    }
    let asked = query::values(&request.query, "count");
    let count = asked.last().map_or(Some(USUAL), |count| count.parse().ok());
    let most = match count {
        Some(-1) => usize::MAX,
        Some(count @ 1..) => usize::try_from(count).unwrap_or(usize::MAX),
        _ => {
            let text = "count is the number of lines, 1 or more, or -1 for all that are there";
            return Err(Response::error(Code::InvalidArgument, text));
        }
    };
    let lines = match name.as_str() {
        "management" => context.log.recent(Kind::Operation, most, |_| true),
        "gate" => context.log.recent(Kind::Access, most, |_| true),
        "monitoring" => context.log.recent(Kind::Access, most, |line| {
            line.contains(" path=/monitor/") || line.contains(" path=/api/3/")
        }),
        service => context.log.recent(Kind::Access, most, |line| is_of(line, service)),
    };
    Ok(Response::json(&json!({
        "name": name,
        "count": count.unwrap_or(USUAL).to_string(),
        "log_lines": lines.concat(),
    })))
}

/// Whether a request went to this service. Its path holds no blank, so it can't forge this field.
fn is_of(line: &str, service: &str) -> bool {
    line.split_ascii_whitespace().any(|pair| pair.strip_prefix("service=") == Some(service))
}
