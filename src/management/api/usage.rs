//! `usage.sock`: the speech engine reserves and settles seconds, and can do nothing else.

use serde_json::{Value, json};

use crate::license::{Handle, Reserved};

use super::body::{Body, Fault};
use super::request::{Method, Request};
use super::response::{Answer, Code, Response};

/// Longest name of a session in bytes.
const LONGEST_SESSION: usize = 128;

/// Most seconds asked for, or used, in one call; a day of audio is far below.
const MOST_SECONDS: f64 = 1e9;

const RESERVE: &str = r#"{"session": "…", "seconds": 30, "seq": 1}"#;

const SETTLE: &str = r#"{"session": "…", "used": 12.5}"#;

/// Finds the call and answers it.
pub(crate) fn dispatch(license: &Handle, request: &mut Request) -> Response {
    let answer = match (request.path.as_str(), request.method) {
        ("/usage/reserve", Method::Post) => reserve(license, request),
        ("/usage/settle", Method::Post) => settle(license, request),
        ("/license", Method::Get | Method::Head) => Ok(Response::json(&license.status())),
        ("/usage/reserve" | "/usage/settle", _) => Err(Response::wrong_method("POST".to_owned())),
        ("/license", _) => Err(Response::wrong_method("GET, HEAD".to_owned())),
        _ => Err(Response::error(Code::NotFound, "there is nothing at this path")),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

/// 200 with the seconds granted, 402 if none are left or the license is not valid.
fn reserve(license: &Handle, request: &mut Request) -> Answer {
    let read = (|| {
        let mut body = Body::read(request, &["session", "seconds", "seq"], RESERVE)?;
        let session = session(&mut body)?;
        let seconds = seconds(&mut body, "seconds")?;
        let seq = match body.take("seq") {
            None | Some(Value::Null) => None,
            Some(seq) => {
                Some(seq.as_u64().ok_or_else(|| body.wrong("\"seq\" is no whole number"))?)
            }
        };
        if seconds == 0 {
            return Err(body.wrong("\"seconds\" is 0"));
        }
        Ok((session, seconds, seq))
    })();
    let (session, seconds, seq) = read.map_err(refused)?;
    let reserved = license.reserve(session, seconds, seq);
    match reserved.map_err(|error| Response::failed(error.to_string()))? {
        Reserved::Granted(granted) => Ok(Response::json(&json!({"granted": granted}))),
        Reserved::Refused(reason) => Err(Response {
            status: 402,
            ..Response::json(&json!({"error": reason, "code": 8, "granted": 0}))
        }),
    }
}

fn settle(license: &Handle, request: &mut Request) -> Answer {
    let mut body = Body::read(request, &["session", "used"], SETTLE).map_err(refused)?;
    let session = session(&mut body).map_err(refused)?;
    let used = seconds(&mut body, "used").map_err(refused)?;
    let charged = license.settle(session, used);
    let charged = charged.map_err(|error| Response::failed(error.to_string()))?;
    Ok(Response::json(&json!({"charged": charged})))
}

fn session(body: &mut Body) -> Result<String, Fault> {
    match body.take("session") {
        Some(Value::String(name)) if (1..=LONGEST_SESSION).contains(&name.len()) => Ok(name),
        _ => Err(body.wrong("\"session\" is no text of 1 to 128 bytes")),
    }
}

/// Rounds a fraction of a second up.
fn seconds(body: &mut Body, name: &str) -> Result<u64, Fault> {
    let number = body.take(name).and_then(|value| value.as_f64());
    match number.filter(|number| (0.0..=MOST_SECONDS).contains(number)) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1e9")]
        Some(number) => Ok(number.ceil() as u64),
        None => Err(body.wrong(format!("{name:?} is no number of seconds"))),
    }
}

fn refused(fault: Fault) -> Response {
    fault.answer(|text| Response::error(Code::InvalidArgument, text))
}
