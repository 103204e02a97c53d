//! The table of the API: which path and method leads to which handler.

use crate::config::Api;

use super::license::{network, offline, online};
use super::request::{Method, Request};
use super::response::{Answer, Code, Response};
use super::security::{
    acme, admin_password, certificate, certificate_request, insecure_ports, job_token, reset,
};
use super::{
    cpu_info, free_storage, health, healthz, host, host_network, logs, mem_info, metrics,
    monitoring, ping, power, report, resource, restart, services, time,
};
use crate::management::Context;
use crate::management::web::{docs, page};

pub(super) type Handler = fn(&Context, &mut Request) -> Answer;

/// What a handler needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// It answers from memory.
    Nothing,
    /// A thread that may block: it may wait for a disk, a lock that is held meanwhile, or another machine.
    Thread,
    /// As `Nothing` if the services have been looked at lately, otherwise as `Thread`.
    Look,
    /// As `Thread`, and TLS if the request is from the network: its body holds a secret. What is told to who sends
    /// it in clear.
    Tls(&'static str),
}

use Needs::{Look, Nothing, Thread, Tls};

/// The API generations in which a path is mounted. Rows leave out the `/v1` or `/v2`. A `*` at the end
/// stands for any one segment, which the handler reads with [`Request::name`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    V1,
    V2,
    Both,
    /// Without a generation: pages, and what programs of no generation read.
    Neither,
}

#[rustfmt::skip]
const TABLE: &[(In, &str, Method, Needs, Handler)] = &[
    (In::V1,   "/management/host/about",      Method::Get,     Nothing, host::about_v1),
    (In::V2,   "/management/host/about",      Method::Get,     Nothing, host::about_v2),
    (In::Both, "/management/host/setdhcp",    Method::Get,     Thread,  host_network::show),
    (In::Both, "/management/host/setdhcp",    Method::Post,    Thread,  host_network::set_dhcp),
    (In::Both, "/management/host/setipaddress", Method::Get,     Thread,  host_network::show),
    (In::Both, "/management/host/setipaddress", Method::Post,    Thread,  host_network::set_address),
    (In::Both, "/management/host/confirmnetwork", Method::Post,    Thread,  host_network::confirm),
    (In::Both, "/management/host/time",       Method::Get,     Thread,  time::show),
    (In::Both, "/management/host/time",       Method::Post,    Thread,  time::set),
    (In::V1,   "/management/ping",            Method::Get,     Nothing, ping::management),
    (In::V1,   "/management/license/ping",    Method::Get,     Nothing, ping::license),
    (In::Both, "/management/license",         Method::Get,     Thread,  online::show),
    (In::Both, "/management/license",         Method::Post,    Thread,  online::apply),
    (In::Both, "/management/license",         Method::Delete,  Thread,  online::remove),
    (In::Both, "/management/license/network", Method::Get,     Thread,  network::show),
    (In::Both, "/management/license/network", Method::Post,    Thread,  network::set),
    (In::Both, "/management/license/offlineactivation", Method::Post,    Thread,  offline::request),
    (In::Both, "/management/license/offlineactivation", Method::Put,     Thread,  offline::apply),
    (In::Both, "/management/license/offlineactivation", Method::Delete,  Thread,  offline::give_back),
    (In::Both, "/management/license/offlinemode", Method::Get,     Thread,  offline::show_mode),
    (In::Both, "/management/license/offlinemode", Method::Post,    Thread,  offline::set_mode),
    (In::V1,   "/management/services",        Method::Get,     Thread,  services::list),
    (In::V1,   "/management/services",        Method::Delete,  Thread,  restart::services),
    (In::V1,   "/management/resource/*",      Method::Get,     Thread,  resource::show),
    (In::V1,   "/management/freestorage",     Method::Get,     Thread,  free_storage::show),
    (In::Both, "/management/logs/zip",        Method::Get,     Thread,  report::show),
    (In::V1,   "/management/logs/*",          Method::Get,     Thread,  logs::show),
    (In::Both, "/management/reboot",          Method::Delete,  Thread,  power::reboot),
    (In::Both, "/management/shutdown",        Method::Delete,  Thread,  power::shutdown),
    (In::V2,   "/management/health",          Method::Get,     Thread,  health::show),
    (In::V2,   "/management/cpuinfo",         Method::Get,     Thread,  cpu_info::show),
    (In::V2,   "/management/meminfo",         Method::Get,     Thread,  mem_info::show),
    (In::Both, "/security/sslcertificate",    Method::Get,     Thread,  certificate::show),
    (In::Both, "/security/sslcertificate",    Method::Post,    Tls(certificate::IN_CLEAR), certificate::replace),
    (In::Both, "/security/sslcertificate/default", Method::Post,    Thread,  certificate::renew_default),
    (In::Both, "/security/certificaterequest", Method::Get,     Thread,  certificate_request::show),
    (In::Both, "/security/certificaterequest", Method::Post,    Thread,  certificate_request::make),
    (In::Both, "/security/certificaterequest", Method::Delete,  Thread,  certificate_request::drop),
    (In::Both, "/security/acme",              Method::Get,     Thread,  acme::show),
    (In::Both, "/security/acme",              Method::Post,    Tls(acme::IN_CLEAR), acme::set),
    (In::Both, "/security/acme",              Method::Delete,  Thread,  acme::end),
    (In::Both, "/security/insecureports",     Method::Get,     Nothing, insecure_ports::show),
    (In::Both, "/security/insecureports",     Method::Post,    Thread,  insecure_ports::set),
    (In::Both, "/security/adminpassword",     Method::Get,     Nothing, admin_password::show),
    (In::Both, "/security/adminpassword",     Method::Post,    Thread,  admin_password::set),
    (In::Both, "/security/adminpassword",     Method::Delete,  Thread,  admin_password::unset),
    (In::Both, "/security/jobtoken",          Method::Get,     Nothing, job_token::show),
    (In::Both, "/security/jobtoken",          Method::Post,    Thread,  job_token::set),
    (In::Both, "/security/jobtoken",          Method::Delete,  Thread,  job_token::remove),
    (In::Both, "/security/reset",             Method::Delete,  Thread,  reset::all),
    (In::Neither, "/",                        Method::Get,     Nothing, page::show),
    (In::Neither, "/docs",                    Method::Get,     Nothing, docs::show),
    (In::Neither, "/docs/",                   Method::Get,     Nothing, docs::show),
    (In::Neither, "/docs/openapi.json",       Method::Get,     Thread,  docs::description),
    (In::Neither, "/healthz",                 Method::Get,     Look,    healthz::show),
    (In::Neither, "/monitor/metrics",         Method::Get,     Thread,  metrics::show),
];

/// What answers a request.
pub(crate) struct Endpoint {
    pub(crate) needs: Needs,
    pub(crate) handler: Handler,
}

/// Finds the handler of a request, or the response if there is none.
pub(crate) fn find(api: Api, method: Method, path: &str) -> Result<Endpoint, Response> {
    if path.starts_with("/monitor/") && path != metrics::PATH {
        return Ok(Endpoint { needs: Thread, handler: monitoring::show });
    }
    let (generation, path) = mounted(api, path);
    let shared = matches!(generation, In::V1 | In::V2);
    let rows = || {
        let of_generation = move |mount| mount == generation || (mount == In::Both && shared);
        TABLE.iter().filter(move |row| of_generation(row.0) && fits(row.1, path))
    };
    let asked = if method == Method::Head { Method::Get } else { method };
    match rows().find(|row| row.2 == asked) {
        Some((_, _, _, needs, handler)) => Ok(Endpoint { needs: *needs, handler: *handler }),
        None => match allow(rows().map(|row| row.2)) {
            none if none.is_empty() => {
                Err(Response::error(Code::NotFound, "there is nothing at this path"))
            }
            allow => Err(Response::wrong_method(allow)),
        },
    }
}

/// Finds the handler of a request from this machine and calls it.
pub(crate) fn dispatch(context: &Context, request: &mut Request) -> Response {
    find(context.config.api, request.method, &request.path)
        .and_then(|endpoint| (endpoint.handler)(context, request))
        .unwrap_or_else(|refusal| refusal)
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
