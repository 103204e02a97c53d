//! `certificaterequest`: a key made here and the request for its certificate, in PEM or described in JSON.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::refused;
use crate::management::Context;
use crate::management::api::body::{Body, Fault};
use crate::management::api::request::Request;
use crate::management::api::response::{Answer, Response};
use crate::security::{KeyType, PublicRequest, Wanted};
use crate::util::json::unknown_key;
use crate::util::utc;

const EXAMPLE: &str =
    r#"{"names": ["appliance.example.com"], "key_type": "ecdsa-p256"}, or no body"#;

/// Asked for in `Accept`, it is the request alone.
const PEM: &str = "application/x-pem-file";

pub(crate) fn show(context: &Context, request: &mut Request) -> Answer {
    match context.security.request() {
        Some(pending) => Ok(answer(request, &pending)),
        None if request.accepts(PEM) => {
            Err(Response::failure(404, "no certificate request is pending: make one with POST"))
        }
        None => Ok(Response::json(&json!({"pending": false}))),
    }
}

pub(crate) fn make(context: &Context, request: &mut Request) -> Answer {
    let wanted = wanted(request).map_err(refused)?;
    let pending = context.security.make_request(&request.actor(), wanted, SystemTime::now())?;
    Ok(answer(request, &pending))
}

pub(crate) fn drop(context: &Context, request: &mut Request) -> Answer {
    Ok(Response::success(match context.security.drop_request(&request.actor())? {
        true => "certificate request and its private key dropped",
        false => "no certificate request was pending",
    }))
}

fn answer(request: &Request, pending: &PublicRequest) -> Response {
    if request.accepts(PEM) {
        return Response {
            content_type: PEM,
            body: pending.pem.as_bytes().to_vec(),
            ..Response::json(&Value::Null)
        };
    }
    Response::json(&json!({
        "pending": true,
        "created": pending.created.map(utc::format),
        "subject": pending.subject,
        "names": pending.names,
        "key_type": pending.key_type,
        "key_sha256": pending.key_sha256,
        "request": pending.pem,
    }))
}

fn wanted(request: &mut Request) -> Result<Wanted, Fault> {
    let mut body = Body::read_optional(request, &["names", "subject", "key_type"], EXAMPLE)?;
    let names = names(&mut body)?;
    let subject = subject(&mut body)?;
    let key_type = match body.optional_string("key_type")? {
        None => KeyType::Rsa2048,
        Some(word) => KeyType::parse(&word).ok_or_else(|| {
            let known: Vec<&str> = KeyType::ALL.iter().map(|known| known.name()).collect();
            body.wrong(format!("\"key_type\" is none of {}", known.join(", ")))
        })?,
    };
    Wanted::new(&names, request.host(), &subject, key_type).map_err(|what| body.wrong(what))
}

fn names(body: &mut Body) -> Result<Vec<String>, Fault> {
    let list = match body.take("names") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(body.wrong("\"names\" is not a list of host names and addresses")),
    };
    let texts = list.into_iter().map(|name| match name {
        Value::String(text) => Ok(text),
        _ => Err(body.wrong("\"names\" holds something else than strings")),
    });
    texts.collect()
}

fn subject(body: &mut Body) -> Result<Vec<(String, String)>, Fault> {
    let members = match body.take("subject") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(members)) => members,
        Some(_) => {
            return Err(body.wrong("\"subject\" is not an object, as in {\"O\": \"Example\"}"));
        }
    };
    let known = Wanted::subject_names();
    let members = members.into_iter().map(|(name, value)| match value {
        _ if !known.contains(&name.as_str()) => {
            Err(body.wrong(format!("\"subject\" has {}", unknown_key(&name, &known))))
        }
        Value::String(text) => Ok((name, text)),
        _ => Err(body.wrong(format!("{name:?} of \"subject\" is not a string"))),
    });
    members.collect()
}
