//! Bytes of sockets: readiness, buffers, streams. Nothing here knows HTTP.

pub(crate) mod duplex;
pub(crate) mod readiness;
pub(crate) mod write_buffer;
