//! `/monitor/…`: dresses what [`crate::monitor`] sees as the Glances REST API does.

use crate::monitor::{Monitor, Seen};

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

const PAGE: &str = "text/html; charset=UTF-8";

/// `path` begins with `/`, without the prefix.
pub(crate) fn answer(monitor: &Monitor, method: Method, path: &str) -> Answer {
    let readable = matches!(method, Method::Get | Method::Head);
    let (content_type, body) = match monitor.look(readable, &decode(path)) {
        Ok(Seen::Stats(value)) => ("application/json; charset=utf-8", spaced(&value)),
        Ok(Seen::Limits(value)) => ("application/json", spaced(&value)),
        Ok(Seen::Active) => (PAGE, b"Active".to_vec()),
        Err(fault) => {
            let wrong_method = (fault.status == 405).then(|| ("Allow", "GET".to_owned()));
            return Answer {
                status: fault.status,
                content_type: PAGE,
                headers: wrong_method.into_iter().collect(),
                body: fault.page().into_bytes(),
            };
        }
    };
    let headers = HEADERS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Answer { status: 200, content_type, headers, body }
}
