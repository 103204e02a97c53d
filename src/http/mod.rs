//! HTTP/1.1 without I/O: bytes to heads, heads to bytes.
//!
//! Nothing here knows a socket, a setting or a policy, so the gate, the license authority and the client of
//! the management API can read and write messages with the same rules (RFC 9110, RFC 9112).

pub(crate) mod authority;
pub(crate) mod body;
pub(crate) mod date;
pub(crate) mod fields;
pub(crate) mod head;
pub(crate) mod lenient;
pub(crate) mod limits;
pub(crate) mod method;
pub(crate) mod status;
pub(crate) mod target;
