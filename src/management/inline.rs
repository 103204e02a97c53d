//! The API without its socket, for what is in memory: asked in passing, and nobody waits.
//!
//! The same table and the same bytes as over `control.sock`; what may take a while goes that way.

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Context;
use super::api::table;
use crate::management::api::request::{Method, Request};
use crate::management::api::response::Response;

/// A GET or HEAD without a body, from the network, that the gate has let in.
pub(crate) struct InlineRequest<'a> {
    /// The answer's body is left out.
    pub(crate) head_only: bool,
    /// As sent, without the query.
    pub(crate) path: &'a str,
    /// As sent, without the request mark.
    pub(crate) query: &'a str,
    /// Who asks.
    pub(crate) peer: IpAddr,
    /// Whether over HTTPS.
    pub(crate) tls: bool,
    /// What the answer's `Connection` field says, if there is one.
    pub(crate) connection: Option<&'static str>,
}

/// An answer, ready to be sent.
pub(crate) struct InlineResponse {
    /// 200 or another.
    pub(crate) status: u16,
    /// Bytes of its body that are sent.
    pub(crate) length: u64,
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
}

/// What answers at once; `None` where that may take a while.
pub(crate) type InlineApi = Box<dyn Fn(&InlineRequest<'_>) -> Option<InlineResponse> + Send + Sync>;

/// The API for a caller who can't wait.
#[must_use]
pub(crate) fn inline_api(context: Context) -> InlineApi {
    Box::new(move |request| {
        let asked = AssertUnwindSafe(|| ask(&context, request));
        let answer = catch_unwind(asked).unwrap_or_else(|_| {
            let method = if request.head_only { "HEAD" } else { "GET" };
            context.log.error(format_args!("a handler failed on {method} {}", request.path));
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
