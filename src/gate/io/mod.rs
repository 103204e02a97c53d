//! Socket I/O: streams, readiness and buffers, without knowledge of HTTP.

pub(crate) mod duplex;
pub(crate) mod readiness;
pub(crate) mod write_buffer;
