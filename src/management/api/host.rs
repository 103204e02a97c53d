//! `host/about`: which appliance this is.

use serde_json::json;

use super::answer::Answer;
use super::request::Request;
use crate::management::Context;

pub(crate) fn about_v1(context: &Context, _: &mut Request<'_>) -> Answer {
    Answer::json(&json!({"version": context.config.about.version}))
}

pub(crate) fn about_v2(context: &Context, _: &mut Request<'_>) -> Answer {
    let about = &context.config.about;
    Answer::json(&json!({
        "appliance_version": about.version,
        "appliance_variant": about.variant,
        "languages": about.languages,
    }))
}
