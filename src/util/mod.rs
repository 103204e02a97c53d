//! Small tools that several rooms need.

pub(crate) mod append;
pub(crate) mod client_prefix;
pub(crate) mod descriptors;
pub(crate) mod host_name;
pub(crate) mod json;
pub(crate) mod nearest;
pub(crate) mod networks;
pub(crate) mod openmetrics;
pub(crate) mod published;
pub(crate) mod resolve;
pub(crate) mod semaphore;
pub(crate) mod service_manager;
pub(crate) mod spares;
pub(crate) mod tcp_listen;
pub(crate) mod terminal;
pub(crate) mod unix_connect;
pub(crate) mod unix_listen;
pub(crate) mod utc;
pub(crate) mod words;
pub(crate) mod zip;
