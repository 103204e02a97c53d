//! `/monitor/…`: dresses what [`crate::monitor`] sees as the Glances REST API does.

use crate::monitor;

use super::answer::{Answer, spaced};
use super::query::decode;
use super::request::Method;

/// What every success carries, so that a page from anywhere may read it.
const HEADERS: [(&str, &str); 4] = [
    ("Content-Encoding", "identity"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, POST, PUT, OPTIONS"),
    (
        "Access-Control-Allow-Headers",
        "Origin, Accept, Content-Type, X-Requested-With, X-CSRF-Token",
    ),
];

/// `path` begins with `/`, without the prefix.
pub(super) fn answer(method: Method, path: &str) -> Answer {
    let readable = matches!(method, Method::Get | Method::Head);
    match monitor::look(readable, &decode(path)) {
        Ok(value) => Answer {
            status: 200,
            content_type: "application/json; charset=utf-8",
            headers: HEADERS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            body: spaced(&value),
        },
        Err(fault) => Answer {
            status: fault.status(),
            content_type: "text/html; charset=UTF-8",
            headers: match fault {
                monitor::Fault::WrongMethod => vec![("Allow", "GET".to_owned())],
                _ => Vec::new(),
            },
            body: fault.page().into_bytes(),
        },
    }
}
