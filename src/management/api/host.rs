//! `host/about`: the version, variant and languages of the appliance.

use serde_json::json;

use super::request::Request;
use super::response::{Answer, Response};
use crate::management::Context;

pub(crate) fn about_v1(context: &Context, _: &mut Request) -> Answer {
    Ok(Response::json(&json!({"version": context.config.about.version})))
}

pub(crate) fn about_v2(context: &Context, _: &mut Request) -> Answer {
    let about = &context.config.about;
    Ok(Response::json(&json!({
        "appliance_version": about.version,
        "appliance_variant": about.variant,
        "languages": about.languages,
    })))
}
