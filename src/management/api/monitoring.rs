//! `/monitor/…`: serves [`crate::monitor`] with the headers of the Glances REST API.

use crate::management::Context;
use crate::monitor::Content;

use super::query::decode;
use super::request::{Method, Request};
use super::response::{Answer, Response, spaced};

/// Headers of every success, so that a page from any origin may read it.
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

pub(crate) fn show(context: &Context, request: &mut Request) -> Answer {
    let path = request.path.strip_prefix("/monitor").unwrap_or_default();
    let readable = matches!(request.method, Method::Get | Method::Head);
    let (content_type, body) = match context.monitor.get(readable, &decode(path)) {
        Ok(Content::Stats(value)) => ("application/json; charset=utf-8", spaced(&value)),
        Ok(Content::Limits(value)) => ("application/json", spaced(&value)),
        Ok(Content::Active) => (PAGE, b"Active".to_vec()),
        Err(error) => {
            let wrong_method = (error.status == 405).then(|| ("Allow", "GET".into()));
            return Err(Response {
                status: error.status,
                content_type: PAGE,
                headers: wrong_method.into_iter().collect(),
                body: error.page().into_bytes(),
            });
        }
    };
    let headers = HEADERS.iter().map(|(name, value)| (*name, (*value).into())).collect();
    Ok(Response { status: 200, content_type, headers, body })
}
