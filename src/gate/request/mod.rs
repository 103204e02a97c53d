//! What becomes of one request: which route it takes, who may make it, whether the license covers it, and
//! the answers that the gate gives itself.

pub(crate) mod access_log;
pub(crate) mod basic_auth;
pub(crate) mod failed_logins;
pub(crate) mod handler;
pub(crate) mod hash_queue;
pub(crate) mod license_denied;
pub(crate) mod local;
pub(crate) mod policy;
pub(crate) mod response;
pub(crate) mod router;
