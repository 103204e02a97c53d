//! Decides one request: its route, its authorization, its license, and the local responses of the gate.

pub(crate) mod access_log;
pub(crate) mod acme;
pub(crate) mod basic_auth;
pub(crate) mod call;
pub(crate) mod failed_logins;
pub(crate) mod handler;
pub(crate) mod hash_queue;
pub(crate) mod hsts;
pub(crate) mod job_token;
pub(crate) mod license_denied;
pub(crate) mod local;
pub(crate) mod parse;
pub(crate) mod policy;
pub(crate) mod response;
pub(crate) mod router;
