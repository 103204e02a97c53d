//! The API description (OpenAPI), and the page that shows it.
//!
//! The description is `docs/*.json`, joined: OpenAPI 3.1, of which the settings choose. A member `NAME if
//! CONDITION` becomes `NAME` if the condition holds (`v1`, `v2`, `not v1`, `not v2`: what is mounted) and
//! is left out otherwise. A path that begins with `/{v}/` stands for one path in each mounted version, and
//! its conditions are about that version alone.

use serde_json::{Map, Value};

use super::compact::compact;
use super::html;
use crate::config::{Api, Config, Serves};
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};

/// In reading order.
const PARTS: [&str; 10] = [
    compact!(one line "docs/base.json"),
    compact!(one line "docs/management.json"),
    compact!(one line "docs/security.json"),
    compact!(one line "docs/license.json"),
    compact!(one line "docs/speech.json"),
    compact!(one line "docs/monitoring.json"),
    compact!(one line "docs/plugins.json"),
    compact!(one line "docs/health.json"),
    compact!(one line "docs/usage.json"),
    compact!(one line "docs/pages.json"),
];

/// Words to put in place of placeholders.
type Words = [(&'static str, String)];

/// Prefix of a path that is mounted in both versions of the API.
const BOTH: &str = "/{v}/";

pub(crate) fn show(_context: &Context, _request: &mut Request) -> Answer {
    Ok(html::page(compact!(lines "docs/page.html")))
}

/// OpenAPI 3.1.
pub(crate) fn description(context: &Context, _request: &mut Request) -> Answer {
    let mut answer = Response::json(&Value::Null);
    // Without white space, which would be half of it.
    answer.body = describe(&context.config).to_string().into_bytes();
    Ok(answer)
}

fn describe(config: &Config) -> Value {
    let mut whole = Value::Null;
    for part in PARTS {
        // Null if it is not JSON, which a test detects.
        join(&mut whole, serde_json::from_str(part).unwrap_or_default());
    }
    if let Some(paths) = whole["paths"].as_object_mut() {
        *paths =
            std::mem::take(paths).into_iter().flat_map(|path| versions(path, config.api)).collect();
    }
    let words = [
        ("{version}", env!("CARGO_PKG_VERSION").to_owned()),
        ("{run_dir}", config.run_dir.display().to_string()),
        ("{ports}", ports(config)),
    ];
    chosen(whole, config.api, &words)
}

/// Adds the members and elements of `part` to those of `whole`.
fn join(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(members), Value::Object(more)) => {
            for (name, value) in more {
                join(members.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(elements), Value::Array(more)) => elements.extend(more),
        (whole, part) => *whole = part,
    }
}

/// A path with its operations, once for each version in which it is mounted.
fn versions((path, item): (String, Value), api: Api) -> Vec<(String, Value)> {
    let Some(rest) = path.strip_prefix(BOTH) else { return vec![(path, item)] };
    let v1 = api.v1.then_some(("v1", "V1", Api { v1: true, v2: false }));
    let v2 = api.v2.then_some(("v2", "V2", Api { v1: false, v2: true }));
    let mounted = v1.into_iter().chain(v2);
    let one = mounted.map(|(v, upper, version)| {
        let words = [("{v}", v.to_owned()), ("{V}", upper.to_owned())];
        (format!("/{v}/{rest}"), chosen(item.clone(), version, &words))
    });
    one.collect()
}

/// Leaves out members whose condition does not hold, and replaces placeholders in every string.
fn chosen(value: Value, api: Api, words: &Words) -> Value {
    match value {
        Value::String(text) => {
            words.iter().fold(text, |text, (name, word)| text.replace(name, word)).into()
        }
        Value::Array(values) => values.into_iter().map(|value| chosen(value, api, words)).collect(),
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, value) in members {
                if let Some(name) = mounted(&name, api) {
                    kept.insert(name.to_owned(), chosen(value, api, words));
                }
            }
            kept.into()
        }
        other => other,
    }
}

/// The name of a member without its condition; `None` if that does not hold.
fn mounted(name: &str, api: Api) -> Option<&str> {
    let Some((name, condition)) = name.split_once(" if ") else { return Some(name) };
    let holds = match condition {
        "v1" => api.v1,
        "v2" => api.v2,
        "not v1" => !api.v1,
        _ => !api.v2,
    };
    holds.then_some(name)
}

/// A sentence about what each port serves.
fn ports(config: &Config) -> String {
    let sentences = config.listen.iter().map(|listen| {
        let what = match listen.serves {
            Serves::All => "everything",
            Serves::Management => {
                "what stands under Management, Security, License and Pages, and /healthz"
            }
            Serves::Monitoring => "monitoring, without /monitor in front",
            Serves::Speech => "jobs",
            Serves::Realtime => "live transcription",
        };
        let scheme = if listen.tls { "HTTPS" } else { "HTTP" };
        format!("{} ({scheme}) serves {what}.", listen.address.port())
    });
    sentences.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
