//! The API description (OpenAPI), and the page that shows it.
//!
//! The description is written by theme in `docs/*.json`, in OpenAPI 3.1 with some shorthand: `every` and
//! `changes` of a theme are responses of all its operations and of those that change something, `headers`
//! are the headers of their 200, and `{v}` stands for each API generation. This file assembles what is
//! mounted. Which operations need a password follows the gate's policy.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::html;
use crate::config::{Api, Config, Serves};
use crate::management::Context;
use crate::management::api::request::Request;
use crate::management::api::response::Response;

const BASE: &str = include_str!("docs/base.json");

/// In reading order.
const THEMES: [&str; 8] = [
    include_str!("docs/management.json"),
    include_str!("docs/security.json"),
    include_str!("docs/license.json"),
    include_str!("docs/speech.json"),
    include_str!("docs/monitoring.json"),
    include_str!("docs/plugins.json"),
    include_str!("docs/usage.json"),
    include_str!("docs/pages.json"),
];

/// Prefix of a path that is mounted in both generations.
const BOTH: &str = "/{v}/";

pub(crate) fn show(_context: &Context, _request: &mut Request) -> Response {
    html::page(include_str!("docs/page.html"))
}

/// OpenAPI 3.1.
pub(crate) fn description(context: &Context, _request: &mut Request) -> Response {
    let mut answer = Response::json(&Value::Null);
    // Without white space, which would be half of it.
    answer.body = describe(&context.config).to_string().into_bytes();
    answer
}

fn describe(config: &Config) -> Value {
    let mut whole = parsed(BASE);
    for mut theme in THEMES.map(parsed) {
        for (section, entries) in taken(&mut theme, "components") {
            for (name, entry) in entries.as_object().cloned().unwrap_or_default() {
                whole["components"][&section][&name] = entry;
            }
        }
        let tag = theme["tag"]["name"].clone();
        if let (Value::Object(_), Some(tags)) = (&theme["tag"], whole["tags"].as_array_mut()) {
            tags.push(theme["tag"].clone());
        }
        for (path, item) in taken(&mut theme, "paths") {
            let shared = path.starts_with(BOTH);
            for generation in generations(config.api, &path) {
                let words = [("{v}", generation.to_lowercase()), ("{V}", generation.to_owned())];
                let (mut path, mut item) = (Value::from(path.as_str()), item.clone());
                fill(&mut path, &words);
                fill(&mut item, &words);
                let path = path.as_str().unwrap_or_default();
                complete(&mut item, &theme, &tag, asks(config.api, path, &tag));
                fill(&mut item, &words);
                if shared {
                    share(&mut item, &mut whole["components"]);
                }
                whole["paths"][path] = item;
            }
        }
    }
    whole["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let words = [
        ("{version}", env!("CARGO_PKG_VERSION").to_owned()),
        ("{run_dir}", config.run_dir.display().to_string()),
        ("{ports}", ports(config)),
    ];
    fill(&mut whole, &words);
    prune(&mut whole);
    whole
}

/// Null if it is not JSON, which a test detects.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn taken(theme: &mut Value, member: &str) -> Map<String, Value> {
    match theme.get_mut(member).map(Value::take) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The generations in which a path is mounted; one word if it belongs to none. Version 2 of speech is
/// forwarded whatever is mounted.
fn generations(api: Api, path: &str) -> Vec<&'static str> {
    let (v1, v2) = (api.v1.then_some("V1"), api.v2.then_some("V2"));
    if path.starts_with(BOTH) {
        v1.into_iter().chain(v2).collect()
    } else if path.starts_with("/v1") {
        v1.into_iter().collect()
    } else if path.starts_with("/v2/management/") {
        v2.into_iter().collect()
    } else {
        vec!["V1"]
    }
}

/// Whether a path needs the password, over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Never,
    /// Once one is set, at least over HTTPS; the value names the page (M1-26) or line (M2-18).
    OnceSet(&'static str),
    Always(&'static str),
}

/// The rules of `gate::policy`.
fn asks(api: Api, path: &str, tag: &Value) -> Asks {
    const PAGE: &str = "Page401";
    const TEXT: &str = "Text401";
    let words = if api.v1 { PAGE } else { TEXT };
    let is_v2 = path.starts_with("/v2");
    match tag.as_str().unwrap_or_default() {
        "Seconds" => Asks::Never,
        "Speech" if is_v2 && api.v2 => Asks::Never,
        "Pages" if api.v2 => Asks::Always(TEXT),
        "Pages" => Asks::OnceSet(TEXT),
        "Monitoring" if !api.v1 => Asks::Always(TEXT),
        "Speech" | "Monitoring" => Asks::OnceSet(words),
        _ if is_v2 => Asks::Always(TEXT),
        _ => Asks::OnceSet(words),
    }
}

/// Adds what a theme says once for all operations to each operation of a path.
fn complete(item: &mut Value, theme: &Value, tag: &Value, asks: Asks) {
    let socket = theme["socket"].as_str();
    for (method, operation) in item.as_object_mut().into_iter().flatten() {
        if method == "parameters" {
            continue;
        }
        let changes = method != "get";
        operation["tags"] = json!([tag]);
        let mut answers = taken(operation, "responses");
        let headers = &theme["headers"];
        if let Some(Value::Object(fine)) = answers.get_mut("200")
            && headers.is_object()
            && fine.contains_key("content")
        {
            fine.entry("headers").or_insert_with(|| headers.clone());
        }
        let mut more = |status: &str, name: &str| {
            answers.insert(status.to_owned(), reference(name));
        };
        if let Asks::OnceSet(words) | Asks::Always(words) = asks {
            more("401", words);
            // For all others it is described once among the rare responses.
            if tag == "Speech" {
                more("429", "429");
            }
        }
        match asks {
            // The default of the whole description.
            Asks::OnceSet(_) => {}
            Asks::Always(_) => operation["security"] = json!([{"admin": []}]),
            Asks::Never => operation["security"] = json!([]),
        }
        if socket.is_none() {
            more(if changes { "308" } else { "301" }, "Moved");
        }
        let shared = [changes.then_some("changes"), Some("every")];
        for shared in shared.into_iter().flatten() {
            for (status, answer) in theme[shared].as_object().into_iter().flatten() {
                // Only operations with a body have a 413 of their own.
                if status != "413" || operation.get("requestBody").is_some() {
                    answers.entry(status.clone()).or_insert_with(|| answer.clone());
                }
            }
        }
        answers.sort_keys();
        operation["responses"] = answers.into();
    }
    if let Some(socket) = socket {
        item["servers"] = json!([{
            "url": "http://localhost",
            "description": format!("On the Unix socket {socket} alone."),
            "x-unix-socket": socket,
        }]);
    }
}

/// Moves what both generations have in common to `components`.
fn share(item: &mut Value, components: &mut Value) {
    for (_, operation) in item.as_object_mut().into_iter().flatten() {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let name = id.trim_end_matches("V1").trim_end_matches("V2").to_owned();
        let mut moved = |section: &str, name: &str, place: &mut Value| {
            if place.get("$ref").is_none() {
                components[section][name] = place.take();
                *place = json!({"$ref": format!("#/components/{section}/{name}")});
            }
        };
        if let Some(body) = operation.get_mut("requestBody") {
            moved("requestBodies", &name, body);
        }
        for (status, answer) in operation["responses"].as_object_mut().into_iter().flatten() {
            moved("responses", &format!("{name}.{status}"), answer);
        }
    }
}

fn reference(answer: &str) -> Value {
    json!({"$ref": format!("#/components/responses/{answer}")})
}

/// A sentence about what each port serves.
fn ports(config: &Config) -> String {
    let sentences = config.listen.iter().map(|listen| {
        let what = match listen.serves {
            Serves::All => "everything",
            Serves::Management => "what stands under Management, Security, License and Pages",
            Serves::Monitoring => "monitoring, without /monitor in front",
            Serves::Speech => "jobs",
            Serves::Realtime => "live transcription",
        };
        let scheme = if listen.tls { "HTTPS" } else { "HTTP" };
        format!("{} ({scheme}) serves {what}.", listen.address.port())
    });
    sentences.collect::<Vec<_>>().join(" ")
}

/// Replaces placeholders in every string.
fn fill(value: &mut Value, words: &[(&str, String)]) {
    match value {
        Value::String(text) => {
            for (name, word) in words {
                if text.contains(name) {
                    *text = text.replace(name, word);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, words)),
        Value::Object(members) => members.values_mut().for_each(|value| fill(value, words)),
        _ => {}
    }
}

/// Removes components that are not referenced.
fn prune(whole: &mut Value) {
    loop {
        let mut used = HashSet::new();
        references(whole, &mut used);
        let mut dropped = false;
        for (section, entries) in whole["components"].as_object_mut().into_iter().flatten() {
            if let (Value::Object(entries), false) = (entries, section == "securitySchemes") {
                let before = entries.len();
                entries.retain(|name, _| used.contains(&format!("#/components/{section}/{name}")));
                dropped |= entries.len() < before;
            }
        }
        if !dropped {
            return;
        }
    }
}

fn references(value: &Value, found: &mut HashSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        Value::Object(members) => {
            if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                found.insert(target.to_owned());
            }
            members.values().for_each(|value| references(value, found));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
