//! The whole API as one table: which path and method leads to which handler.

use crate::config::Api;

use super::answer::{Answer, Code};
use super::license::{network, offline, online};
use super::request::{Method, Request};
use super::security::{admin_password, certificate, insecure_ports, reset};
use super::{
    Context, cpu_info, docs, free_storage, health, host, logs, mem_info, monitoring, page, ping,
    power, resource, restart, services,
};

type Handler = fn(&Context, &mut Request<'_>) -> Answer;

/// Under which generations a path is mounted; its row leaves the `/v1` or `/v2` out. A `*` at its end
/// is any one segment, which the handler reads with [`Request::name`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    V1,
    V2,
    Both,
    /// Under none: for people with a browser.
    Neither,
}

#[rustfmt::skip]
const TABLE: &[(In, &str, Method, Handler)] = &[
    (In::V1,   "/management/host/about",      Method::Get,    host::about_v1),
    (In::V2,   "/management/host/about",      Method::Get,    host::about_v2),
    (In::V1,   "/management/ping",            Method::Get,    ping::management),
    (In::V1,   "/management/license/ping",    Method::Get,    ping::license),
    (In::Both, "/management/license",         Method::Get,    online::show),
    (In::Both, "/management/license",         Method::Post,   online::apply),
    (In::Both, "/management/license",         Method::Delete, online::remove),
    (In::Both, "/management/license/network", Method::Get,    network::show),
    (In::Both, "/management/license/network", Method::Post,   network::set),
    (In::Both, "/management/license/offlineactivation", Method::Post, offline::request),
    (In::Both, "/management/license/offlineactivation", Method::Put,  offline::apply),
    (In::Both, "/management/license/offlineactivation", Method::Delete, offline::give_back),
    (In::Both, "/management/license/offlinemode", Method::Get,  offline::show_mode),
    (In::Both, "/management/license/offlinemode", Method::Post, offline::set_mode),
    (In::V1,   "/management/services",        Method::Get,    services::list),
    (In::V1,   "/management/services",        Method::Delete, restart::services),
    (In::V1,   "/management/resource/*",      Method::Get,    resource::show),
    (In::V1,   "/management/freestorage",     Method::Get,    free_storage::show),
    (In::V1,   "/management/logs/*",          Method::Get,    logs::show),
    (In::Both, "/management/reboot",          Method::Delete, power::reboot),
    (In::Both, "/management/shutdown",        Method::Delete, power::shutdown),
    (In::V2,   "/management/health",          Method::Get,    health::show),
    (In::V2,   "/management/cpuinfo",         Method::Get,    cpu_info::show),
    (In::V2,   "/management/meminfo",         Method::Get,    mem_info::show),
    (In::Both, "/security/sslcertificate",    Method::Get,    certificate::show),
    (In::Both, "/security/sslcertificate",    Method::Post,   certificate::replace),
    (In::Both, "/security/insecureports",     Method::Get,    insecure_ports::show),
    (In::Both, "/security/insecureports",     Method::Post,   insecure_ports::set),
    (In::Both, "/security/adminpassword",     Method::Get,    admin_password::show),
    (In::Both, "/security/adminpassword",     Method::Post,   admin_password::set),
    (In::Both, "/security/adminpassword",     Method::Delete, admin_password::unset),
    (In::Both, "/security/reset",             Method::Delete, reset::all),
    (In::Neither, "/",                        Method::Get,    page::show),
    (In::Neither, "/docs",                    Method::Get,    docs::show),
    (In::Neither, "/docs/",                   Method::Get,    docs::show),
    (In::Neither, "/docs/openapi.json",       Method::Get,    docs::description),
];

/// Finds the handler and lets it answer.
pub(super) fn answer(context: &Context, request: &mut Request<'_>) -> Answer {
    if let Some(path) = request.path.strip_prefix("/monitor/") {
        return monitoring::answer(&context.monitor, request.method, &format!("/{path}"));
    }
    let (generation, path) = mounted(context.config.api, &request.path);
    let shared = matches!(generation, In::V1 | In::V2);
    let rows: Vec<&(In, &str, Method, Handler)> = TABLE
        .iter()
        .filter(|row| row.0 == generation || (row.0 == In::Both && shared))
        .filter(|row| fits(row.1, path))
        .collect();
    if rows.is_empty() {
        return Answer::error(Code::NotFound, "there is nothing at this path");
    }
    let asked = if request.method == Method::Head { Method::Get } else { request.method };
    match rows.iter().find(|row| row.2 == asked) {
        Some((_, _, _, handler)) => handler(context, request),
        None => Answer::wrong_method(allow(&rows)),
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

/// Paths and methods that are mounted, `*` and all, to compare the description with.
#[cfg(test)]
pub(super) fn routes(api: Api) -> Vec<(String, Method)> {
    let generations = [(In::V1, "/v1", api.v1), (In::V2, "/v2", api.v2)];
    let mut routes = Vec::new();
    for (mount, path, method, _) in TABLE {
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

fn allow(rows: &[&(In, &str, Method, Handler)]) -> String {
    let mut words = Vec::new();
    for row in rows {
        words.push(row.2.word());
        if row.2 == Method::Get {
            words.push(Method::Head.word());
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests;
