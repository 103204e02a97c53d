//! The management API for requests from the network: the gate calls it without a socket.
//!
//! It uses the same table as `control.sock`. The gate has authorized a request before it comes here, and has
//! read its body.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::Context;
use super::api;
use super::api::security::certificate;
use super::api::table::{self, Endpoint};
use crate::management::api::request::{Body, Method, Request};
use crate::management::api::response::Response;

/// The management API for the gate.
pub(crate) struct NetworkApi(Context);

/// The head of a request from the network.
pub(crate) struct NetworkRequest {
    pub(crate) method: String,
    /// As sent, without the query.
    pub(crate) path: String,
    /// As sent, without the question mark.
    pub(crate) query: String,
    pub(crate) content_type: Option<String>,
    /// The host that the client has called, with the port if it named one.
    pub(crate) authority: Option<String>,
    /// The client's address.
    pub(crate) peer: IpAddr,
    /// Whether the request came over HTTPS.
    pub(crate) tls: bool,
}

/// A request and its handler.
pub(crate) struct Call {
    request: NetworkRequest,
    /// The response instead, if the path or the method has no handler, or the handler needs TLS.
    endpoint: Result<Endpoint, Response>,
}

/// A complete HTTP response.
pub(crate) struct NetworkResponse {
    /// HTTP status.
    pub(crate) status: u16,
    /// Bytes of the body that are sent.
    pub(crate) length: u64,
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
}

impl Call {
    /// Whether the response may wait for a disk, a lock or another machine.
    pub(crate) fn may_block(&self) -> bool {
        self.endpoint.as_ref().is_ok_and(|endpoint| endpoint.may_block())
    }

    /// Whether the response may depend on the request's body; otherwise it must not be asked for.
    pub(crate) fn needs_body(&self) -> bool {
        self.endpoint.is_ok()
    }
}

impl NetworkApi {
    pub(crate) fn new(context: Context) -> NetworkApi {
        NetworkApi(context)
    }

    /// Finds the handler of a request.
    pub(crate) fn find(&self, request: NetworkRequest) -> Call {
        let method = Method::parse(&request.method);
        let endpoint = match table::find(self.0.config.api, method, &request.path) {
            Ok(endpoint) if endpoint.needs_tls() && !request.tls => {
                Err(certificate::sent_in_clear())
            }
            found => found,
        };
        Call { request, endpoint }
    }

    /// Calls the handler with the request's body: of a body over [`LARGEST_BODY`](super::LARGEST_BODY) one byte
    /// more than that is enough. `connection` is the value of the response's `Connection` field, if it has one.
    pub(crate) fn answer(
        &self,
        call: Call,
        body: Zeroizing<Vec<u8>>,
        connection: Option<&str>,
    ) -> NetworkResponse {
        let NetworkRequest { method, path, query, content_type, authority, peer, .. } =
            call.request;
        let mut request = Request {
            method: Method::parse(&method),
            path,
            query,
            content_type,
            peer: Some(peer.to_canonical()),
            authority,
            body: Body::Whole(body),
        };
        let context = &self.0;
        let response = match call.endpoint {
            Ok(endpoint) => {
                api::call(&context.log, &mut request, |request| endpoint.call(context, request))
            }
            Err(response) => response,
        };
        let head_only = request.method == Method::Head;
        NetworkResponse {
            status: response.status,
            length: if head_only { 0 } else { response.body.len() as u64 },
            bytes: response.to_bytes(head_only, connection),
        }
    }
}
