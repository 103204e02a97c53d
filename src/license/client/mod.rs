//! The worker that owns the state of the license and asks the authority.

pub(crate) mod call;
pub(crate) mod proxy;
pub(crate) mod request_context;
pub(crate) mod transport;
pub(crate) mod worker;
