//! `usage.sock`: the speech engine reserves and settles seconds, and can do nothing else.

use serde_json::{Map, Value, json};

use crate::license::{Handle, Reserved};
use crate::util::json;

use super::request::{Method, Request};
use super::response::{Code, Response};

/// Longest name of a session in bytes.
const LONGEST_SESSION: usize = 128;

/// Most seconds asked for, or used, in one call; a day of audio is far below.
const MOST_SECONDS: f64 = 1e9;

const RESERVE: &str = r#"{"session": "…", "seconds": 30, "seq": 1}"#;

const SETTLE: &str = r#"{"session": "…", "used": 12.5}"#;

/// Finds the call and answers it.
pub(crate) fn dispatch(license: &Handle, request: &mut Request<'_>) -> Response {
    match (request.path.as_str(), request.method) {
        ("/usage/reserve", Method::Post) => reserve(license, request),
        ("/usage/settle", Method::Post) => settle(license, request),
        ("/license", Method::Get | Method::Head) => Response::json(&license.status()),
        ("/usage/reserve" | "/usage/settle", _) => Response::wrong_method("POST".to_owned()),
        ("/license", _) => Response::wrong_method("GET, HEAD".to_owned()),
        _ => Response::error(Code::NotFound, "there is nothing at this path"),
    }
}

/// 200 with the seconds granted, 402 if none are left or the license is not valid.
fn reserve(license: &Handle, request: &mut Request<'_>) -> Response {
    let read = members(request, RESERVE).and_then(|mut members| {
        let session = session(&mut members, RESERVE)?;
        let seconds = seconds(&mut members, "seconds", RESERVE)?;
        let seq = match members.remove("seq") {
            None | Some(Value::Null) => None,
            Some(seq) => {
                Some(seq.as_u64().ok_or_else(|| bad("\"seq\" is no whole number", RESERVE))?)
            }
        };
        if seconds == 0 {
            return Err(bad("\"seconds\" is 0", RESERVE));
        }
        nothing_else(&members, &["session", "seconds", "seq"], RESERVE)?;
        Ok((session, seconds, seq))
    });
    let (session, seconds, seq) = match read {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    match license.reserve(session, seconds, seq) {
        Ok(Reserved::Granted(granted)) => Response::json(&json!({"granted": granted})),
        Ok(Reserved::Refused(reason)) => Response {
            status: 402,
            ..Response::json(&json!({"error": reason, "code": 8, "granted": 0}))
        },
        Err(error) => Response::error(Code::Internal, &error.to_string()),
    }
}

fn settle(license: &Handle, request: &mut Request<'_>) -> Response {
    let read = members(request, SETTLE).and_then(|mut members| {
        let session = session(&mut members, SETTLE)?;
        let used = seconds(&mut members, "used", SETTLE)?;
        nothing_else(&members, &["session", "used"], SETTLE)?;
        Ok((session, used))
    });
    match read.map(|(session, used)| license.settle(session, used)) {
        Ok(Ok(charged)) => Response::json(&json!({"charged": charged})),
        Ok(Err(error)) => Response::error(Code::Internal, &error.to_string()),
        Err(answer) => answer,
    }
}

fn members(request: &mut Request<'_>, example: &str) -> Result<Map<String, Value>, Response> {
    let body = request.read_body().map_err(Response::from)?;
    match json::parse(&body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => {
            Err(bad(&format!("the body is {}, not an object", json::kind(&other)), example))
        }
        Err(error) => Err(bad(&format!("the body is {error}"), example)),
    }
}

fn session(members: &mut Map<String, Value>, example: &str) -> Result<String, Response> {
    match members.remove("session") {
        Some(Value::String(name)) if (1..=LONGEST_SESSION).contains(&name.len()) => Ok(name),
        _ => Err(bad("\"session\" is no text of 1 to 128 bytes", example)),
    }
}

/// Rounds a fraction of a second up.
fn seconds(members: &mut Map<String, Value>, name: &str, example: &str) -> Result<u64, Response> {
    let number = members.remove(name).and_then(|value| value.as_f64());
    match number.filter(|number| (0.0..=MOST_SECONDS).contains(number)) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1e9")]
        Some(number) => Ok(number.ceil() as u64),
        None => Err(bad(&format!("{name:?} is no number of seconds"), example)),
    }
}

fn nothing_else(
    members: &Map<String, Value>,
    known: &[&str],
    example: &str,
) -> Result<(), Response> {
    match members.keys().next() {
        None => Ok(()),
        Some(name) => {
            Err(bad(&format!("the body has {}", json::unknown_key(name, known)), example))
        }
    }
}

fn bad(what: &str, example: &str) -> Response {
    Response::error(Code::InvalidArgument, &format!("{what}; send {example}"))
}
