//! Request bodies that the management API parses, for the fuzzer.

use super::multipart;
use crate::management::api::query;

/// The first line is the `Content-Type`, the rest the body.
pub fn upload(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = data.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return };
    let _ = query::values(line, "count");
    let Ok(boundary) = multipart::boundary(Some(line)) else { return };
    let _ = multipart::upload(body, &boundary);
}
