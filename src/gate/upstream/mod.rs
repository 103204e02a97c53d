//! Connections to the services behind the gate.

pub(crate) mod idle;
pub(crate) mod pool;
pub(crate) mod stream;
