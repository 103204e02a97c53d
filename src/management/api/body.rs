//! JSON bodies: one object with known members.
//!
//! In: strict reading, and what is wrong as a sentence that repeats no value, which may be a password. The
//! content type is ignored, because the rules do not require one (MA-16). Out: the shape of the answer,
//! which differs between security, license and usage.

use serde_json::{Map, Value};

use super::request::{BodyError, Request};
use super::response::{Code, Response};
use crate::util::json;

/// What is wrong with a body.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It did not arrive whole.
    Unread(BodyError),
    /// What is wrong with what arrived, and a valid body.
    Invalid { what: String, example: &'static str },
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Fault {
        Fault::Unread(error)
    }
}

impl Fault {
    /// The answer; `refused` gives a sentence its shape.
    pub(crate) fn answer(self, refused: impl FnOnce(&str) -> Response) -> Response {
        match self {
            Fault::Unread(error) => error.into(),
            Fault::Invalid { what, example } => refused(&format!("{what}; send {example}")),
        }
    }

    /// The answer in the shape of errors below `management`.
    pub(crate) fn management_answer(self) -> Response {
        let status = match &self {
            Fault::Unread(BodyError::TooLarge) => 413,
            Fault::Unread(BodyError::CutOff) | Fault::Invalid { .. } => 400,
        };
        let text = match self {
            Fault::Unread(BodyError::TooLarge) => {
                "the request body is larger than 1 MiB, the most this takes".to_owned()
            }
            Fault::Unread(BodyError::CutOff) => {
                "the request body ended early; nothing was changed, send it again".to_owned()
            }
            Fault::Invalid { what, example } => format!("{what}; send {example}"),
        };
        Response { status, ..Response::error(Code::InvalidArgument, &text) }
    }
}

/// The members of a body, taken out one by one.
pub(crate) struct Body {
    members: Map<String, Value>,
    /// Length of the text in bytes.
    pub(crate) length: usize,
    /// A valid body, for error messages.
    example: &'static str,
}

impl Body {
    /// Reads a body without members besides those `known`.
    pub(crate) fn read(
        request: &mut Request,
        known: &[&str],
        example: &'static str,
    ) -> Result<Body, Fault> {
        Body::parse(&request.take_body()?, known, example)
    }

    /// As [`Body::read`]; an empty body is one without members.
    pub(crate) fn read_optional(
        request: &mut Request,
        known: &[&str],
        example: &'static str,
    ) -> Result<Body, Fault> {
        let text = request.take_body()?;
        if text.is_empty() {
            return Ok(Body { members: Map::new(), length: 0, example });
        }
        Body::parse(&text, known, example)
    }

    fn parse(text: &[u8], known: &[&str], example: &'static str) -> Result<Body, Fault> {
        let what = match json::parse(text) {
            Ok(Value::Object(members)) => {
                match members.keys().find(|name| !known.contains(&name.as_str())) {
                    None => return Ok(Body { members, length: text.len(), example }),
                    Some(name) => format!("the body has {}", json::unknown_key(name, known)),
                }
            }
            _ if text.is_empty() => "the request has no body".to_owned(),
            Ok(other) => format!("the body is {}, not an object", json::kind(&other)),
            Err(error) => format!("the body is {error}"),
        };
        Err(Fault::Invalid { what, example })
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    /// A string.
    pub(crate) fn string(&mut self, name: &str) -> Result<String, Fault> {
        match self.required(name)? {
            Value::String(text) => Ok(text),
            other => Err(self.wrong_kind(name, &other, "a string")),
        }
    }

    /// A string; `None` if it is absent, null or empty.
    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Fault> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.string(name).map(|text| Some(text).filter(|text| !text.is_empty())),
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Fault> {
        match self.required(name)? {
            Value::Bool(flag) => Ok(flag),
            other => Err(self.wrong_kind(name, &other, "true or false")),
        }
    }

    fn required(&mut self, name: &str) -> Result<Value, Fault> {
        self.take(name).ok_or_else(|| self.wrong(format!("the body has no {name:?}")))
    }

    fn wrong_kind(&self, name: &str, found: &Value, wanted: &str) -> Fault {
        self.wrong(format!("{name:?} is {}, not {wanted}", json::kind(found)))
    }

    /// A fault of this body.
    pub(crate) fn wrong(&self, what: impl Into<String>) -> Fault {
        Fault::Invalid { what: what.into(), example: self.example }
    }

    /// The members that were not taken, for callers that parse them themselves.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.members)
    }
}
