//! Whether an answer of an authority is a success, and what is said if it is none.
//!
//! `name` is as in "the certificate authority at ca.example", and `doing` completes "did not".

use serde_json::Value;

use super::problem::{AcmeError, Problem, is_refusal, words};
use super::transport::Reply;
use crate::util::json;

/// # Errors
/// Any status but 2xx.
pub(super) fn check(name: &str, doing: &str, reply: &Reply) -> Result<(), AcmeError> {
    if (200..300).contains(&reply.status) {
        return Ok(());
    }
    if let Some(problem) = json::parse(&reply.body).ok().as_ref().and_then(Problem::read) {
        return Err(AcmeError::refused(name, doing, &problem, reply.retry_after, reply.status));
    }
    let status = reply.status;
    let message = match &reply.location {
        Some(to) if (300..400).contains(&status) => format!(
            "{name} did not {doing}, but redirects to {} ({status}), which is not followed: if that is the \
             authority, give the URL of its directory there",
            without_query(to)
        ),
        _ => format!(
            "{name} did not {doing}: it answered with {} (HTTP {status}) instead of ACME; check the URL of \
             the directory, and what stands before the authority",
            if is_page(&reply.body) { "a web page" } else { "no reason" }
        ),
    };
    let refused = is_refusal(status);
    Err(AcmeError { message, kind: None, retry_after: reply.retry_after, refused })
}

/// Reads the JSON of a success.
///
/// # Errors
/// It is not JSON, or not what it should be.
pub(super) fn read<T>(
    name: &str,
    doing: &str,
    reply: &Reply,
    read: impl FnOnce(&Value) -> Result<T, String>,
) -> Result<T, AcmeError> {
    let value = json::parse(&reply.body).map_err(|_| {
        let what = if is_page(&reply.body) { "is a web page" } else { "is not JSON" };
        malformed(name, doing, what)
    })?;
    read(&value).map_err(|what| malformed(name, doing, &what))
}

/// `what` completes "its answer".
pub(super) fn malformed(name: &str, doing: &str, what: &str) -> AcmeError {
    AcmeError::from(format!(
        "{name} did not {doing}: its answer {what}; check that \"directory\" is the directory of an ACME \
         server"
    ))
}

fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// A URL for a message: its query may hold a secret.
fn without_query(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            words(&format!("{scheme}://{}{path}", host.rsplit('@').next().unwrap_or(host)))
        }
        None => words(url),
    }
}
