//! Connections to the services behind the gate: made, pooled while idle, and used.

pub(crate) mod connect;
pub(crate) mod pool;
pub(crate) mod stream;
