//! The resources of the management API: one file for each, the table of paths and methods, and what
//! handlers share. A handler is a function of a `request::Request` to a `response::Response` and never
//! sees a socket.

mod body;
pub(crate) mod commands;
pub(crate) mod cpu_info;
pub(crate) mod free_storage;
pub(crate) mod health;
pub(crate) mod healthz;
pub(crate) mod host;
pub(crate) mod host_network;
pub(crate) mod license;
pub(crate) mod logs;
pub(crate) mod mem_info;
pub(crate) mod metrics;
pub(crate) mod monitoring;
pub(crate) mod ping;
pub(crate) mod power;
pub(crate) mod query;
pub(crate) mod readiness;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod resource;
pub(crate) mod response;
pub(crate) mod restart;
pub(crate) mod security;
pub(crate) mod services;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod usage;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::request::Request;
use self::response::{Answer, Response};
use crate::log::Log;

/// Calls a handler; the response to a panic is 500.
pub(crate) fn call(
    log: &Log,
    request: &mut Request,
    handler: impl FnOnce(&mut Request) -> Answer,
) -> Response {
    let answer = catch_unwind(AssertUnwindSafe(|| handler(request))).unwrap_or_else(|_| {
        // Without the query, which may hold a client's tokens.
        let (method, path) = (request.method.word(), &request.path);
        log.error(format_args!("internal error (panic) on {method} {path}; answered 500"));
        Err(Response::internal())
    });
    answer.unwrap_or_else(|refusal| refusal)
}
