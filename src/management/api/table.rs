//! The table of the API: which path and method leads to which handler.

use crate::config::Api;

use super::license::{network, offline, online};
use super::request::{Method, Request};
use super::response::{Code, Response};
use super::security::{admin_password, certificate, insecure_ports, reset};
use super::{
    cpu_info, free_storage, health, host, logs, mem_info, monitoring, ping, power, resource,
    restart, services,
};
use crate::management::Context;
use crate::management::web::{docs, page};

type Handler = fn(&Context, &mut Request<'_>) -> Response;

/// Whether a handler may block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocking {
    /// It answers from memory.
    Never,
    /// It may wait for a disk, a lock that is held meanwhile, or another machine.
    Maybe,
}

use Blocking::{Maybe, Never};

/// The API generations in which a path is mounted. Rows leave out the `/v1` or `/v2`. A `*` at the end
/// stands for any one segment, which the handler reads with [`Request::name`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    V1,
    V2,
    Both,
    /// Without a generation: pages for a browser.
    Neither,
}

#[rustfmt::skip]
const TABLE: &[(In, &str, Method, Blocking, Handler)] = &[
    (In::V1,   "/management/host/about",      Method::Get,    Never, host::about_v1),
    (In::V2,   "/management/host/about",      Method::Get,    Never, host::about_v2),
    (In::V1,   "/management/ping",            Method::Get,    Never, ping::management),
    (In::V1,   "/management/license/ping",    Method::Get,    Never, ping::license),
    (In::Both, "/management/license",         Method::Get,    Maybe,   online::show),
    (In::Both, "/management/license",         Method::Post,   Maybe,   online::apply),
    (In::Both, "/management/license",         Method::Delete, Maybe,   online::remove),
    (In::Both, "/management/license/network", Method::Get,    Maybe,   network::show),
    (In::Both, "/management/license/network", Method::Post,   Maybe,   network::set),
    (In::Both, "/management/license/offlineactivation", Method::Post, Maybe,   offline::request),
    (In::Both, "/management/license/offlineactivation", Method::Put,  Maybe,   offline::apply),
    (In::Both, "/management/license/offlineactivation", Method::Delete, Maybe,   offline::give_back),
    (In::Both, "/management/license/offlinemode", Method::Get,  Maybe,   offline::show_mode),
    (In::Both, "/management/license/offlinemode", Method::Post, Maybe,   offline::set_mode),
    (In::V1,   "/management/services",        Method::Get,    Maybe,   services::list),
    (In::V1,   "/management/services",        Method::Delete, Maybe,   restart::services),
    (In::V1,   "/management/resource/*",      Method::Get,    Maybe,   resource::show),
    (In::V1,   "/management/freestorage",     Method::Get,    Maybe,   free_storage::show),
    (In::V1,   "/management/logs/*",          Method::Get,    Maybe,   logs::show),
    (In::Both, "/management/reboot",          Method::Delete, Maybe,   power::reboot),
    (In::Both, "/management/shutdown",        Method::Delete, Maybe,   power::shutdown),
    (In::V2,   "/management/health",          Method::Get,    Maybe,   health::show),
    (In::V2,   "/management/cpuinfo",         Method::Get,    Maybe,   cpu_info::show),
    (In::V2,   "/management/meminfo",         Method::Get,    Maybe,   mem_info::show),
    (In::Both, "/security/sslcertificate",    Method::Get,    Never, certificate::show),
    (In::Both, "/security/sslcertificate",    Method::Post,   Maybe,   certificate::replace),
    (In::Both, "/security/insecureports",     Method::Get,    Never, insecure_ports::show),
    (In::Both, "/security/insecureports",     Method::Post,   Maybe,   insecure_ports::set),
    (In::Both, "/security/adminpassword",     Method::Get,    Never, admin_password::show),
    (In::Both, "/security/adminpassword",     Method::Post,   Maybe,   admin_password::set),
    (In::Both, "/security/adminpassword",     Method::Delete, Maybe,   admin_password::unset),
    (In::Both, "/security/reset",             Method::Delete, Maybe,   reset::all),
    (In::Neither, "/",                        Method::Get,    Never, page::show),
    (In::Neither, "/docs",                    Method::Get,    Never, docs::show),
    (In::Neither, "/docs/",                   Method::Get,    Never, docs::show),
    (In::Neither, "/docs/openapi.json",       Method::Get,    Maybe,   docs::description),
];

/// What answers a request.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint {
    handler: Handler,
    /// It may wait for a disk, a lock that is held meanwhile, or another machine.
    pub(crate) may_block: bool,
}

impl Endpoint {
    pub(crate) fn call(self, context: &Context, request: &mut Request<'_>) -> Response {
        (self.handler)(context, request)
    }
}

/// Finds the handler of a request, or the response if there is none.
pub(crate) fn find(api: Api, method: Method, path: &str) -> Result<Endpoint, Response> {
    if path.starts_with("/monitor/") {
        return Ok(Endpoint { handler: monitoring::show, may_block: true });
    }
    let (generation, path) = mounted(api, path);
    let shared = matches!(generation, In::V1 | In::V2);
    let rows = || {
        let of_generation = move |mount| mount == generation || (mount == In::Both && shared);
        TABLE.iter().filter(move |row| of_generation(row.0) && fits(row.1, path))
    };
    let asked = if method == Method::Head { Method::Get } else { method };
    match rows().find(|row| row.2 == asked) {
        Some((_, _, _, blocking, handler)) => {
            Ok(Endpoint { handler: *handler, may_block: *blocking == Maybe })
        }
        None => match allow(rows().map(|row| row.2)) {
            none if none.is_empty() => {
                Err(Response::error(Code::NotFound, "there is nothing at this path"))
            }
            allow => Err(Response::wrong_method(allow)),
        },
    }
}

/// Finds the handler of a request and calls it.
pub(crate) fn dispatch(context: &Context, request: &mut Request<'_>) -> Response {
    match find(context.config.api, request.method, &request.path) {
        Ok(endpoint) => endpoint.call(context, request),
        Err(response) => response,
    }
}

/// Splits `/v1/x` into its generation and `/x`, if that generation is mounted.
fn mounted(api: Api, path: &str) -> (In, &str) {
    match (path.strip_prefix("/v1"), path.strip_prefix("/v2")) {
        (Some(rest), _) if api.v1 => (In::V1, rest),
        (_, Some(rest)) if api.v2 => (In::V2, rest),
        _ => (In::Neither, path),
    }
}

/// Mounted paths and methods, with any `*`, to compare the API description with.
#[cfg(test)]
pub(crate) fn routes(api: Api) -> Vec<(String, Method)> {
    let generations = [(In::V1, "/v1", api.v1), (In::V2, "/v2", api.v2)];
    let mut routes = Vec::new();
    for (mount, path, method, _, _) in TABLE {
        if *mount == In::Neither {
            routes.push(((*path).to_owned(), *method));
        }
        for (generation, prefix, _) in generations.iter().filter(|generation| generation.2) {
            if *mount == *generation || *mount == In::Both {
                routes.push((format!("{prefix}{path}"), *method));
            }
        }
    }
    routes
}

fn fits(row: &str, path: &str) -> bool {
    match row.strip_suffix('*').map(|folder| path.strip_prefix(folder)) {
        None => row == path,
        Some(name) => name.is_some_and(|name| !name.is_empty() && !name.contains('/')),
    }
}

fn allow(methods: impl Iterator<Item = Method>) -> String {
    let mut words = Vec::new();
    for method in methods {
        words.push(method.word());
        if method == Method::Get {
            words.push(Method::Head.word());
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests;
