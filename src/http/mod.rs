//! HTTP/1.1 without I/O: bytes to heads, heads to bytes.
//!
//! Nothing here uses a socket, a setting or a policy, so the gate, the license authority and the client of
//! the management API can read and write messages by one set of rules (RFC 9110, RFC 9112).

pub(crate) mod authority;
pub(crate) mod body;
pub(crate) mod date;
pub(crate) mod fields;
pub(crate) mod forwarded;
pub(crate) mod head;
pub(crate) mod lenient;
pub(crate) mod limits;
pub(crate) mod method;
mod scan;
pub(crate) mod status;
pub(crate) mod target;

use std::fmt;

/// Why a message is rejected, and the status of the response to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

impl Error {
    /// A fault of the client's message.
    pub(crate) const fn bad_request(reason: &'static str) -> Error {
        Error { status: 400, reason }
    }

    /// A fault of the server's message.
    pub(crate) const fn bad_gateway(reason: &'static str) -> Error {
        Error { status: 502, reason }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}
