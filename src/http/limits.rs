//! How large a message's parts may be. The gate's other limits and its deadlines stand in `gate::limits`.

/// Bytes of one request head: line, fields and the empty line. Cookies and tokens of 16 KiB fit.
pub(crate) const HEAD_BYTES: usize = 32 << 10;

/// Bytes of a request line without its end; RFC 9112 section 3 asks for 8,000 at least.
pub(crate) const LINE_BYTES: usize = 8 << 10;

/// Header fields in one head, in either direction.
pub(crate) const FIELDS: usize = 100;

/// Bytes of a service's answer head.
pub(crate) const ANSWER_HEAD_BYTES: usize = 64 << 10;
