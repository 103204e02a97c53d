//! Local responses of the gate, and their bytes.

use super::policy::Area;
use crate::config::Api;
use crate::gate::io::write_buffer;
use crate::http::Error;
use crate::http::head::RequestHead;
use crate::http::method;
use crate::http::status;
use crate::util::append::append;

/// Makes a browser ask for credentials, and Java encode them in UTF-8 (RFC 7617 section 2.1).
const CHALLENGE: &str = "Basic realm=\"appliance\", charset=\"UTF-8\"";

/// A response that the gate sends without a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalResponse {
    pub(crate) status: u16,
    content_type: &'static str,
    body: String,
    fields: Vec<(&'static str, String)>,
}

impl LocalResponse {
    /// An error in the shape that the clients of `area` understand.
    pub(crate) fn error(area: Option<Area>, status: u16, reason: &str) -> LocalResponse {
        let reason = serde_json::Value::from(reason);
        let body = match area {
            // One object for the clients of both speech APIs: `code`, `error` and `detail` are what
            // v2 clients read, the rest is RFC 7807 as v1 has it.
            Some(Area::SpeechV1 | Area::Jobs | Area::Realtime) => {
                let title = status::phrase(status);
                format!(
                    "{{\"code\": {status}, \"error\": \"{title}\", \"detail\": {reason}, \
                     \"status\": {status}, \"title\": \"{title}\", \"type\": \"about:blank\"}}\n"
                )
            }
            _ => format!("{{\"error\": {reason}, \"code\": {}}}\n", grpc_code(status)),
        };
        LocalResponse { status, content_type: "application/json", body, fields: Vec::new() }
    }

    /// The response to a client whose address keeps it out.
    pub(crate) fn wrong_address(area: Area) -> LocalResponse {
        let reason = "the settings of the appliance allow this from other addresses only";
        LocalResponse::error(Some(area), 403, reason)
    }

    /// A 503 with `Retry-After`.
    pub(crate) fn busy(reason: &str) -> LocalResponse {
        LocalResponse::error(None, 503, reason).with("Retry-After", "1")
    }

    /// The answer to an http-01 challenge (RFC 8555 section 8.3).
    pub(crate) fn key_authorization(text: &str) -> LocalResponse {
        let (content_type, body) = ("application/octet-stream", text.to_owned());
        LocalResponse { status: 200, content_type, body, fields: Vec::new() }
    }

    /// A response with this JSON.
    pub(crate) fn json(status: u16, body: String) -> LocalResponse {
        LocalResponse { status, content_type: "application/json", body, fields: Vec::new() }
    }

    /// The response to a malformed request.
    pub(crate) fn malformed(error: Error) -> LocalResponse {
        let response = LocalResponse::error(None, error.status, error.reason);
        // No method is allowed for a CONNECT target (RFC 9110 section 10.2.1).
        if error.status == 405 { response.with("Allow", "") } else { response }
    }

    /// The response to a method that is never forwarded.
    pub(crate) fn not_forwarded(area: Area) -> LocalResponse {
        let allow = method::allow();
        let reason = format!("method not allowed: this path takes {allow}");
        LocalResponse::error(Some(area), 405, &reason).with("Allow", allow)
    }

    /// The response to a body over 1 MiB, in the format of the endpoint.
    pub(crate) fn too_large(path: &str) -> LocalResponse {
        let reason = "the request is larger than 1 MiB";
        if !path.contains("/security/") {
            return LocalResponse::error(None, 413, reason);
        }
        let body = format!(
            "{{\"success\": false, \"message\": \"{reason}; certificates and keys have a few \
             thousand bytes\"}}\n"
        );
        LocalResponse { status: 413, content_type: "application/json", body, fields: Vec::new() }
    }

    /// Asks for credentials, in the format of the API version of the path; if only one version is mounted, in its
    /// format.
    pub(crate) fn challenge(area: Area, api: Api) -> LocalResponse {
        let v2_format = match area {
            Area::ManagementV2 | Area::Page | Area::CustomAdmin | Area::Unknown => api.v2,
            _ => !api.v1,
        };
        let (content_type, body) = if v2_format {
            ("text/plain", "401 Unauthorized\n")
        } else {
            (
                "text/html",
                "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n\
                 <center><h1>401 Authorization Required</h1></center>\r\n</body>\r\n</html>\r\n",
            )
        };
        LocalResponse { status: 401, content_type, body: body.to_owned(), fields: Vec::new() }
            .with("WWW-Authenticate", CHALLENGE)
    }

    /// A redirect: 301 for GET and HEAD, 308 for other methods, which it preserves.
    pub(crate) fn redirect(head: &RequestHead, location: &str) -> LocalResponse {
        let status = if matches!(head.method.as_ref(), "GET" | "HEAD") { 301 } else { 308 };
        let body = format!("{}\n", status::phrase(status));
        LocalResponse { status, content_type: "text/plain", body, fields: Vec::new() }
            .with("Location", location)
    }

    /// The length of the body in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.body.len() as u64
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> LocalResponse {
        self.fields.push((name, value.into()));
        self
    }

    /// The whole response, without its body for HEAD; `connection` is the value of the `Connection` field.
    pub(crate) fn to_bytes(
        &self,
        head_only: bool,
        connection: Option<&'static str>,
        date: &str,
    ) -> Vec<u8> {
        let mut text = write_buffer::take_spare();
        let (mut status, mut length) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (status, phrase) = (status.format(self.status), status::phrase(self.status));
        append(&mut text, &["HTTP/1.1 ", status, " ", phrase, "\r\nDate: ", date]);
        append(&mut text, &["\r\nContent-Type: ", self.content_type]);
        append(&mut text, &["\r\nContent-Length: ", length.format(self.body.len()), "\r\n"]);
        for (name, value) in &self.fields {
            append(&mut text, &[*name, ": ", value, "\r\n"]);
        }
        if let Some(word) = connection {
            append(&mut text, &["Connection: ", word, "\r\n"]);
        }
        append(&mut text, &["\r\n", if head_only { "" } else { &self.body }]);
        text
    }
}

/// The `Connection` field of a response to a client of HTTP/1.`minor`; `close` if the connection closes. HTTP/1.0
/// needs an explicit `keep-alive` (RFC 9112 section 9.3).
pub(crate) fn persistence(close: bool, minor: u8) -> Option<&'static str> {
    match minor {
        _ if close => Some("close"),
        0 => Some("keep-alive"),
        _ => None,
    }
}

/// The gRPC code that goes with an HTTP status; clients read it (MA-1).
fn grpc_code(status: u16) -> u8 {
    match status {
        401 => 16,
        403 => 7,
        404 => 5,
        405 | 501 => 12,
        429 => 8,
        502 | 503 => 14,
        504 => 4,
        500 => 13,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::LocalResponse;
    use crate::config::Api;
    use crate::gate::request::policy::Area;

    const BOTH: Api = Api { v1: true, v2: true };

    fn text(response: &LocalResponse) -> String {
        String::from_utf8(response.to_bytes(false, Some("close"), "now")).unwrap_or_default()
    }

    #[test]
    fn both_challenges_are_those_of_the_manuals() {
        let v1 = text(&LocalResponse::challenge(Area::ManagementV1, BOTH));
        assert!(v1.contains("<head><title>401 Authorization Required</title></head>\r\n"), "{v1}");
        assert!(v1.contains("<center><h1>401 Authorization Required</h1></center>\r\n"), "{v1}");
        assert!(v1.contains("Content-Type: text/html\r\n"), "{v1}");
        let v2 = text(&LocalResponse::challenge(Area::ManagementV2, BOTH));
        assert!(v2.ends_with("\r\n\r\n401 Unauthorized\n"), "{v2}");
        assert!(
            v2.contains("WWW-Authenticate: Basic realm=\"appliance\", charset=\"UTF-8\"\r\n"),
            "{v2}"
        );
    }

    #[test]
    fn an_api_version_mounted_alone_has_its_format_everywhere() {
        let line = |area, v1, v2| {
            text(&LocalResponse::challenge(area, Api { v1, v2 })).contains("text/plain")
        };
        for area in [Area::Monitoring, Area::Page, Area::CustomAdmin, Area::Unknown] {
            assert!(line(area, false, true), "{area:?}");
            assert!(!line(area, true, false), "{area:?}");
        }
        assert!(line(Area::Page, true, true) && !line(Area::Monitoring, true, true));
    }

    #[test]
    fn errors_are_json_whatever_the_reason_says() {
        let response = text(&LocalResponse::error(Some(Area::Jobs), 502, "the \"engine\" is down"));
        let body = response.split("\r\n\r\n").nth(1).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        assert_eq!(json["detail"], "the \"engine\" is down");
        assert_eq!((json["code"].clone(), json["status"].clone()), (502.into(), 502.into()));
    }
}
