//! How large the parts of a message may be. The gate's other limits and its deadlines are in `gate::limits`.

/// Bytes of one request head: line, fields and the empty line. Cookies and tokens of 16 KiB fit.
pub(crate) const HEAD_BYTES: usize = 32 << 10;

/// Bytes of a request line without its end; RFC 9112 section 3 asks for 8,000 at least.
pub(crate) const LINE_BYTES: usize = 8 << 10;

/// Header fields in one head, in either direction.
pub(crate) const FIELDS: usize = 100;

/// Bytes of one response head of an upstream server.
pub(crate) const RESPONSE_HEAD_BYTES: usize = 64 << 10;
