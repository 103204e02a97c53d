//! The gate's own short answers, as bytes.

use super::policy::Area;
use crate::config::Api;
use crate::http::head::{Malformed, RequestHead};
use crate::http::method;
use crate::http::status;

/// What makes a browser ask, and Java encode what it is told as we do (RFC 7617 section 2.1).
const CHALLENGE: &str = "Basic realm=\"appliance\", charset=\"UTF-8\"";

/// An answer that the gate gives without asking a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    content_type: &'static str,
    body: String,
    fields: Vec<(&'static str, String)>,
}

impl Reply {
    /// An error in the shape that the clients of `area` understand.
    pub(crate) fn error(area: Option<Area>, status: u16, reason: &str) -> Reply {
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
        Reply { status, content_type: "application/json", body, fields: Vec::new() }
    }

    /// Too much is being asked at this moment.
    pub(crate) fn busy(reason: &str) -> Reply {
        Reply::error(None, 503, reason).with("Retry-After", "1")
    }

    /// An answer whose JSON is written elsewhere.
    pub(crate) fn json(status: u16, body: String) -> Reply {
        Reply { status, content_type: "application/json", body, fields: Vec::new() }
    }

    /// A head that nobody judged.
    pub(crate) fn malformed(malformed: Malformed) -> Reply {
        let reply = Reply::error(None, malformed.status, malformed.reason);
        // What is asked for in another place is no method of ours at all (RFC 9110 section 10.2.1).
        if malformed.status == 405 { reply.with("Allow", "") } else { reply }
    }

    /// A method that goes to no service.
    pub(crate) fn not_forwarded(area: Area) -> Reply {
        let allow = method::forwarded();
        let reason = format!("method not allowed: this path takes {allow}");
        Reply::error(Some(area), 405, &reason).with("Allow", allow)
    }

    /// A body that is longer than ours may be, in the shape of the endpoint it was sent to.
    pub(crate) fn too_large(path: &str) -> Reply {
        let reason = "the request is larger than 1 MiB";
        if !path.contains("/security/") {
            return Reply::error(None, 413, reason);
        }
        let body = format!(
            "{{\"success\": false, \"message\": \"{reason}; certificates and keys have a few \
             thousand bytes\"}}\n"
        );
        Reply { status: 413, content_type: "application/json", body, fields: Vec::new() }
    }

    /// Asks for credentials, in the words of the generation whose path it is; where one generation is
    /// mounted alone, in its words.
    pub(crate) fn challenge(area: Area, api: Api) -> Reply {
        let v2_words = match area {
            Area::ManagementV2 | Area::Page | Area::CustomAdmin | Area::Nowhere => api.v2,
            _ => !api.v1,
        };
        let (content_type, body) = if v2_words {
            ("text/plain", "401 Unauthorized\n")
        } else {
            (
                "text/html",
                "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n\
                 <center><h1>401 Authorization Required</h1></center>\r\n</body>\r\n</html>\r\n",
            )
        };
        Reply { status: 401, content_type, body: body.to_owned(), fields: Vec::new() }
            .with("WWW-Authenticate", CHALLENGE)
    }

    /// Sends the client elsewhere: 301 keeps GET and HEAD what they are, 308 every other method.
    pub(crate) fn redirect(head: &RequestHead, location: &str) -> Reply {
        let status = if matches!(head.method.as_str(), "GET" | "HEAD") { 301 } else { 308 };
        let body = format!("{}\n", status::phrase(status));
        Reply { status, content_type: "text/plain", body, fields: Vec::new() }
            .with("Location", location)
    }

    /// Bytes of the body.
    pub(crate) fn length(&self) -> u64 {
        self.body.len() as u64
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.fields.push((name, value.into()));
        self
    }

    /// The whole answer; without its body for HEAD. `connection` is what it says of the connection.
    pub(crate) fn to_bytes(
        &self,
        head_only: bool,
        connection: Option<&'static str>,
        date: &str,
    ) -> Vec<u8> {
        let mut text = format!(
            "HTTP/1.1 {} {}\r\nDate: {date}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            self.status,
            status::phrase(self.status),
            self.content_type,
            self.body.len()
        );
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(word) = connection {
            text.push_str(&format!("Connection: {word}\r\n"));
        }
        text.push_str("\r\n");
        if !head_only {
            text.push_str(&self.body);
        }
        text.into_bytes()
    }
}

/// What the `Connection` field of an answer says to a client of HTTP/1.`minor`; `close` if it is the last.
/// A connection of HTTP/1.0 lasts only if that is said (RFC 9112 section 9.3).
pub(crate) fn persistence(close: bool, minor: u8) -> Option<&'static str> {
    match minor {
        _ if close => Some("close"),
        0 => Some("keep-alive"),
        _ => None,
    }
}

/// The code that the original's gateway gives with a status (its clients look at it).
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
    use super::Reply;
    use crate::config::Api;
    use crate::gate::request::policy::Area;

    const BOTH: Api = Api { v1: true, v2: true };

    fn text(reply: &Reply) -> String {
        String::from_utf8(reply.to_bytes(false, Some("close"), "now")).unwrap_or_default()
    }

    #[test]
    fn the_two_refusals_are_the_manuals() {
        let v1 = text(&Reply::challenge(Area::ManagementV1, BOTH));
        assert!(v1.contains("<head><title>401 Authorization Required</title></head>\r\n"), "{v1}");
        assert!(v1.contains("<center><h1>401 Authorization Required</h1></center>\r\n"), "{v1}");
        assert!(v1.contains("Content-Type: text/html\r\n"), "{v1}");
        let v2 = text(&Reply::challenge(Area::ManagementV2, BOTH));
        assert!(v2.ends_with("\r\n\r\n401 Unauthorized\n"), "{v2}");
        assert!(
            v2.contains("WWW-Authenticate: Basic realm=\"appliance\", charset=\"UTF-8\"\r\n"),
            "{v2}"
        );
    }

    #[test]
    fn a_generation_alone_refuses_in_its_own_words_everywhere() {
        let line =
            |area, v1, v2| text(&Reply::challenge(area, Api { v1, v2 })).contains("text/plain");
        for area in [Area::Monitoring, Area::Page, Area::CustomAdmin, Area::Nowhere] {
            assert!(line(area, false, true), "{area:?}");
            assert!(!line(area, true, false), "{area:?}");
        }
        assert!(line(Area::Page, true, true) && !line(Area::Monitoring, true, true));
    }

    #[test]
    fn errors_are_json_whatever_the_reason_says() {
        let reply = text(&Reply::error(Some(Area::Jobs), 502, "the \"engine\" is down"));
        let body = reply.split("\r\n\r\n").nth(1).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        assert_eq!(json["detail"], "the \"engine\" is down");
        assert_eq!((json["code"].clone(), json["status"].clone()), (502.into(), 502.into()));
    }
}
