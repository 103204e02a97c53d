//! The management API for requests from the network: the gate calls it without a socket.
//!
//! It uses the same table as `control.sock`. The gate has authorized a request before it comes here, and reads its
//! body.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::api;
use super::api::healthz;
use super::api::request::{BodyError, Method, Request};
use super::api::response::Response;
use super::api::table::{self, Endpoint, Needs};
use super::{Context, LARGEST_BODY};
use crate::metrics::Metrics;

/// The management API for the gate.
pub(crate) struct NetworkApi(Context);

/// A request and its handler.
pub(crate) struct Call {
    request: Request,
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
        self.endpoint.as_ref().is_ok_and(|endpoint| endpoint.needs != Needs::Nothing)
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

    /// What the gate counts, for `/metrics`.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// From now on `/healthz` tells load balancers that the appliance stops.
    pub(crate) fn drain(&self) {
        self.0.readiness.drain();
    }

    /// Finds the handler of a request, which came over TLS or in clear.
    pub(crate) fn find(&self, request: Request, tls: bool) -> Call {
        let found = table::find(self.0.config.api, request.method, &request.path);
        let endpoint = found.and_then(|endpoint| match endpoint.needs {
            Needs::Tls(instead) if !tls => Err(Response::failure(403, instead)),
            Needs::Look if self.0.readiness.is_fresh() => {
                Ok(Endpoint { needs: Needs::Nothing, handler: healthz::recent })
            }
            _ => Ok(endpoint),
        });
        Call { request, endpoint }
    }

    /// Calls the handler with the request's body: of a body over [`LARGEST_BODY`] one byte more than that is enough.
    /// `connection` is the value of the response's `Connection` field, if it has one.
    pub(crate) fn answer(
        &self,
        call: Call,
        body: Zeroizing<Vec<u8>>,
        connection: Option<&str>,
    ) -> NetworkResponse {
        let (context, mut request) = (&self.0, call.request);
        request.body = if body.len() > LARGEST_BODY { Err(BodyError::TooLarge) } else { Ok(body) };
        let response = api::call(&context.log, &mut request, |request| {
            call.endpoint.and_then(|endpoint| (endpoint.handler)(context, request))
        });
        let head_only = request.method == Method::Head;
        NetworkResponse {
            status: response.status,
            length: if head_only { 0 } else { response.body.len() as u64 },
            bytes: response.to_bytes(head_only, connection),
        }
    }
}
