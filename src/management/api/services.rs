//! `services`: the state of our own parts and of every configured service.

use serde_json::json;

use super::query;
use super::request::Request;
use super::response::{Answer, Response};
use crate::config::{Config, OWN_PARTS};
use crate::diagnosis::services;
use crate::management::Context;

/// `?service_name=a,b`, also repeated, lists only those; unknown names are left out.
pub(crate) fn list(context: &Context, request: &mut Request) -> Answer {
    let values = query::values(&request.query, "service_name");
    let wanted: Vec<&str> =
        values.iter().flat_map(|value| value.split(',')).filter(|name| !name.is_empty()).collect();
    let all =
        services::states(&context.config, true, |name| values.is_empty() || wanted.contains(&name));
    Ok(Response::json(&json!({"service_status": all})))
}

/// Whether the list holds a service of this name.
pub(crate) fn is_listed(config: &Config, name: &str) -> bool {
    OWN_PARTS.contains(&name) || config.services.iter().any(|service| service.name == name)
}
