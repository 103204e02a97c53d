//! `Strict-Transport-Security` (RFC 6797): who has got it reaches this host name by HTTPS alone, and by no certificate
//! that the browser does not trust.
//!
//! With `hsts_max_age` the gate sends it in every final response over TLS: its own, those of the management API and
//! those of services. What a service sends under this name is dropped then, over plain HTTP too, because the field binds
//! every port and path of the host, and not just those of one service. Without `hsts_max_age` nothing is added or
//! dropped.

use std::sync::Arc;

use crate::security::{Identity, Source};
use crate::util::published::Published;

/// The field's name in lower case.
const NAME: &str = "strict-transport-security";

/// Whether and with which age the field is sent.
pub(crate) struct Hsts {
    /// The field with its line end; empty if the field is off.
    line: String,
    identity: Arc<Published<Identity>>,
}

impl Hsts {
    /// `max_age` is in seconds; 0 is off.
    pub(crate) fn new(max_age: u32, identity: Arc<Published<Identity>>) -> Hsts {
        let line = match max_age {
            0 => String::new(),
            _ => format!("Strict-Transport-Security: max-age={max_age}\r\n"),
        };
        Hsts { line, identity }
    }

    /// The name of the field if a service's own is dropped.
    pub(crate) fn replaces(&self) -> Option<&'static str> {
        (!self.line.is_empty()).then_some(NAME)
    }

    /// The line for a response at this moment, which may be empty: never one in clear (RFC 6797 section 7.2), and none
    /// while the default certificate is in use, whose warning the browser's user could then no longer pass over
    /// (section 12.1).
    pub(crate) fn line(&self, tls: bool) -> &str {
        if self.line.is_empty() || !tls {
            return "";
        }
        match self.identity.snapshot().summary.source {
            Source::Default => "",
            _ => &self.line,
        }
    }

    /// Adds the line to a complete response, after its status line.
    pub(crate) fn add_to(&self, response: &mut Vec<u8>, tls: bool) {
        let line = self.line(tls);
        if line.is_empty() {
            return;
        }
        if let Some(end) = response.iter().position(|byte| *byte == b'\n') {
            response.splice(end + 1..end + 1, line.bytes());
        }
    }
}
