//! Small tools that several rooms need.

pub(crate) mod descriptors;
pub(crate) mod host_name;
pub(crate) mod json;
pub(crate) mod nearest;
pub(crate) mod published;
pub(crate) mod resolve;
pub(crate) mod semaphore;
pub(crate) mod unix_connect;
pub(crate) mod utc;
