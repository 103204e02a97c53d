//! The management API without its socket, for answers that never block.
//!
//! It uses the same table and sends the same bytes as `control.sock`; requests that may block go there.

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Context;
use super::api::table;
use crate::management::api::request::{Method, Request};
use crate::management::api::response::Response;

/// A GET or HEAD without a body, from the network, that the gate has authorized.
pub(crate) struct InlineRequest<'a> {
    /// Whether to leave out the answer's body.
    pub(crate) head_only: bool,
    /// As sent, without the query.
    pub(crate) path: &'a str,
    /// As sent, without the question mark.
    pub(crate) query: &'a str,
    /// The client's address.
    pub(crate) peer: IpAddr,
    /// Whether the request came over HTTPS.
    pub(crate) tls: bool,
    /// Value of the answer's `Connection` field, if it has one.
    pub(crate) connection: Option<&'static str>,
}

/// A complete HTTP response.
pub(crate) struct InlineResponse {
    /// HTTP status.
    pub(crate) status: u16,
    /// Bytes of the body that are sent.
    pub(crate) length: u64,
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
}

/// Answers a request, or returns `None` if that may block.
pub(crate) type InlineApi = Box<dyn Fn(&InlineRequest<'_>) -> Option<InlineResponse> + Send + Sync>;

/// The management API for a caller that must not block.
#[must_use]
pub(crate) fn inline_api(context: Context) -> InlineApi {
    Box::new(move |request| {
        let asked = AssertUnwindSafe(|| ask(&context, request));
        let answer = catch_unwind(asked).unwrap_or_else(|_| {
            let method = if request.head_only { "HEAD" } else { "GET" };
            context.log.error(format_args!(
                "internal error (panic) on {method} {}; answered 500",
                request.path
            ));
            Some(Response::internal())
        })?;
        let bytes = answer.to_bytes(request.head_only, request.connection);
        let length = if request.head_only { 0 } else { answer.body.len() as u64 };
        Some(InlineResponse { status: answer.status, length, bytes })
    })
}

fn ask(context: &Context, request: &InlineRequest<'_>) -> Option<Response> {
    let mut request = Request {
        method: if request.head_only { Method::Head } else { Method::Get },
        path: request.path.to_owned(),
        query: request.query.to_owned(),
        content_type: None,
        forwarded_for: Some(request.peer.to_string()),
        forwarded_host: None,
        forwarded_proto: Some(if request.tls { "https" } else { "http" }.to_owned()),
        length: None,
        body: &mut io::empty(),
    };
    table::dispatch(context, &mut request, false)
}
