//! The license worker, and its requests to the authority.

pub(crate) mod call;
pub(crate) mod proxy;
pub(crate) mod request_context;
pub(crate) mod transport;
pub(crate) mod worker;
