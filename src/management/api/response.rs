//! Responses: JSON in the spacing of M1-30, and the two shapes of errors.

use std::borrow::Cow;

use serde_json::ser::{Formatter, Serializer};
use serde_json::{Value, json};

use crate::http::{date, status};
use crate::security;
use crate::util::append::append;
use crate::util::spares::{BYTES, Spares};

use super::request::BodyError;

/// The `Server` field.
pub(crate) const SERVER: (&str, &str) = ("Server", "applianced");

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// Header fields besides `Content-Type` and `Content-Length`.
    pub(crate) headers: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) body: Vec<u8>,
}

/// The kind of an error, as a gRPC status code (MA-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidArgument = 3,
    NotFound = 5,
    Aborted = 10,
    Unimplemented = 12,
    Internal = 13,
}

impl Code {
    fn status(self) -> u16 {
        match self {
            Code::InvalidArgument => 400,
            Code::NotFound => 404,
            Code::Aborted => 409,
            Code::Unimplemented => 501,
            Code::Internal => 500,
        }
    }
}

/// How a handler answers. What ends it early is a response too.
pub(crate) type Answer = Result<Response, Response>;

impl Response {
    /// 200 with `value`. Caches must not store it, because it is the state of this moment.
    pub(crate) fn json(value: &Value) -> Response {
        Response {
            status: 200,
            content_type: "application/json",
            headers: vec![("Cache-Control", "no-store".into())],
            body: spaced(value),
        }
    }

    /// 200 with the value, or 500 with the reason why there is none.
    pub(crate) fn json_or_error(value: Result<Value, String>) -> Answer {
        value.map(|value| Response::json(&value)).map_err(Response::failed)
    }

    /// 500 with what went wrong.
    pub(crate) fn failed(error: impl AsRef<str>) -> Response {
        Response::error(Code::Internal, error.as_ref())
    }

    /// `{"error": …, "code": …}`, the shape of the appliance's own errors.
    pub(crate) fn error(code: Code, error: &str) -> Response {
        let value = json!({"error": error, "code": code as u8});
        Response { status: code.status(), ..Response::json(&value) }
    }

    /// 405: the path is known, but not with this method.
    pub(crate) fn wrong_method(allow: String) -> Response {
        let text = format!("method not allowed: this path takes {allow}");
        let mut answer = Response::error(Code::Unimplemented, &text);
        answer.status = 405;
        answer.headers.push(("Allow", allow.into()));
        answer
    }

    /// A text, which caches must not store.
    pub(crate) fn text(status: u16, content_type: &'static str, text: String) -> Response {
        Response {
            status,
            content_type,
            headers: vec![("Cache-Control", "no-store".into())],
            body: text.into_bytes(),
        }
    }

    /// `{"success": true, "message": …}`, the answer to a change under `security`.
    pub(crate) fn success(message: &str) -> Response {
        Response::json(&json!({"success": true, "message": message}))
    }

    /// As [`Response::success`], with `warnings` if there are any.
    pub(crate) fn success_with_warnings(message: &str, warnings: &[String]) -> Response {
        if warnings.is_empty() {
            return Response::success(message);
        }
        Response::json(&json!({"success": true, "message": message, "warnings": warnings}))
    }

    /// `{"success": false, "message": …}`: nothing was changed, and why.
    pub(crate) fn failure(status: u16, message: &str) -> Response {
        Response { status, ..Response::json(&json!({"success": false, "message": message})) }
    }

    /// 500: a handler panicked; the log says where.
    pub(crate) fn internal() -> Response {
        let text = "internal error; the log of the appliance names the place";
        Response::error(Code::Internal, text)
    }

    /// The whole response as bytes; without its body for HEAD. `connection` is the value of the `Connection`
    /// field, if it has one.
    pub(crate) fn to_bytes(&self, head_only: bool, connection: Option<&str>) -> Vec<u8> {
        let mut bytes = BYTES.with(Spares::take);
        bytes.reserve(512 + self.body.len());
        let (mut status, mut length) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (status, phrase) = (status.format(self.status), status::phrase(self.status));
        append(&mut bytes, &["HTTP/1.1 ", status, " ", phrase, "\r\n"]);
        append(&mut bytes, &[SERVER.0, ": ", SERVER.1, "\r\nDate: "]);
        date::with_now(|now| append(&mut bytes, &[now]));
        append(&mut bytes, &["\r\nContent-Type: ", self.content_type, "\r\n"]);
        for (name, value) in &self.headers {
            append(&mut bytes, &[*name, ": ", value, "\r\n"]);
        }
        if let Some(word) = connection {
            append(&mut bytes, &["Connection: ", word, "\r\n"]);
        }
        append(&mut bytes, &["Content-Length: ", length.format(self.body.len()), "\r\n\r\n"]);
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

impl From<security::Error> for Response {
    fn from(error: security::Error) -> Response {
        match error {
            security::Error::Invalid(message) => Response::failure(400, &message),
            security::Error::Conflict(message) => Response::failure(409, &message),
            security::Error::Failed(message) => Response::failure(500, &message),
        }
    }
}

impl From<BodyError> for Response {
    fn from(error: BodyError) -> Response {
        match error {
            BodyError::TooLarge => {
                Response::failure(413, "the request body is larger than 1 MiB, the most this takes")
            }
            BodyError::CutOff => Response::failure(
                400,
                "the request body ended early; nothing was changed, send it again",
            ),
        }
    }
}

/// JSON with `", "` and `": "` (M1-30), as Python writes it.
pub(crate) fn spaced(value: &Value) -> Vec<u8> {
    struct Spaced;

    impl Formatter for Spaced {
        fn begin_array_value<W: ?Sized + std::io::Write>(
            &mut self,
            out: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }

        fn begin_object_key<W: ?Sized + std::io::Write>(
            &mut self,
            out: &mut W,
            first: bool,
        ) -> std::io::Result<()> {
            if first { Ok(()) } else { out.write_all(b", ") }
        }

        fn begin_object_value<W: ?Sized + std::io::Write>(
            &mut self,
            out: &mut W,
        ) -> std::io::Result<()> {
            out.write_all(b": ")
        }
    }

    let mut text = Vec::with_capacity(128);
    // A Value has string keys and the Vec takes every write, so this can't fail.
    let _ = serde::Serialize::serialize(value, &mut Serializer::with_formatter(&mut text, Spaced));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Code, Response, spaced};

    #[test]
    fn json_is_spaced_as_the_manual_shows_it() {
        let answer = Response::success("nginx_restart");
        assert_eq!(answer.body, br#"{"success": true, "message": "nginx_restart"}"#);
        assert_eq!(
            spaced(&json!({"a": [1, 2.0, {}], "b": "x: y, z"})),
            br#"{"a": [1, 2.0, {}], "b": "x: y, z"}"#
        );
    }

    #[test]
    fn errors_carry_the_number_the_originals_clients_know() {
        let answer = Response::error(Code::NotFound, "nothing here");
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (404, br#"{"error": "nothing here", "code": 5}"# as &[u8])
        );
        let answer = Response::wrong_method("GET, HEAD".to_owned());
        assert_eq!(answer.status, 405);
        assert!(answer.headers.contains(&("Allow", "GET, HEAD".into())));
    }
}
