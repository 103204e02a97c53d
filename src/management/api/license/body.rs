//! Bodies of license calls: one JSON object with known members.

use serde_json::{Map, Value};

use crate::license::{ApiError, Applicant, normalize_code};
use crate::util::json;

use crate::management::api::request::{BodyError, Request};

/// Largest body in bytes: a certificate has a few thousand characters.
const LARGEST: usize = 64 << 10;

/// The members of a body, taken out one by one.
pub(crate) struct Body {
    members: Map<String, Value>,
    /// Members taken so far.
    known: Vec<&'static str>,
    example: &'static str,
}

impl Body {
    /// Reads the whole body; `example` is a valid one for the error message.
    pub(crate) fn read(request: &mut Request<'_>, example: &'static str) -> Result<Body, ApiError> {
        let wrong = |what: &str| Err(bad(what, example));
        let body = match request.read_body() {
            Ok(body) if body.len() <= LARGEST => body,
            Ok(_) | Err(BodyError::TooLarge) => return wrong("the body is larger than 64 KiB"),
            Err(BodyError::CutOff) => return wrong("the body ended early"),
        };
        if body.is_empty() {
            return wrong("the request has no body");
        }
        match json::parse(&body) {
            Ok(Value::Object(members)) => Ok(Body { members, known: Vec::new(), example }),
            Ok(other) => wrong(&format!("the body is {}, not an object", json::kind(&other))),
            Err(fault) => wrong(&format!("the body is {fault}")),
        }
    }

    /// A string member; `None` if absent or empty.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        self.known.push(name);
        match self.members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                Err(self.bad(&format!("{name:?} is {}, not a string", json::kind(&other))))
            }
        }
    }

    /// The license code: required, in any grouping.
    pub(crate) fn code(&mut self) -> Result<String, ApiError> {
        let code = normalize_code(&self.text("license")?.unwrap_or_default());
        if code.is_empty() {
            return Err(self.bad("\"license\" is missing"));
        }
        if code.len() > 64 || code.chars().any(char::is_control) {
            return Err(self.bad("\"license\" is no license code"));
        }
        Ok(code)
    }

    /// The optional details of the applicant.
    pub(crate) fn applicant(&mut self) -> Result<Applicant, ApiError> {
        Ok(Applicant {
            username: self.detail("username")?,
            email_address: self.detail("email_address")?,
            company_name: self.detail("company_name")?,
        })
    }

    fn detail(&mut self, name: &'static str) -> Result<String, ApiError> {
        let text = self.text(name)?.unwrap_or_default();
        if text.len() > 256 || text.chars().any(char::is_control) {
            return Err(self
                .bad(&format!("{name:?} is longer than 256 bytes or holds a control character")));
        }
        Ok(text)
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, ApiError> {
        self.known.push(name);
        match self.members.remove(name) {
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => {
                Err(self.bad(&format!("{name:?} is {}, not true or false", json::kind(&other))))
            }
            None => Err(self.bad(&format!("{name:?} is missing"))),
        }
    }

    /// Rejects members that were not taken.
    pub(crate) fn end(self) -> Result<(), ApiError> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(self.bad(&format!("the body has {}", json::unknown_key(name, &self.known))))
            }
        }
    }

    /// The whole object, for callers that parse it themselves.
    pub(crate) fn value(self) -> Value {
        Value::Object(self.members)
    }

    pub(crate) fn bad(&self, what: &str) -> ApiError {
        bad(what, self.example)
    }
}

fn bad(what: &str, example: &str) -> ApiError {
    ApiError::input("bad_request", what, format!("send {example}"))
}
