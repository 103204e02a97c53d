//! The resources under `/v1/security/` and `/v2/security/`, equal in both.
//!
//! In: what is taken from requests, and answers. Out: the rules for keys and passwords, and making a change
//! durable; [`SecuritySettings`](crate::security::SecuritySettings) does both.

pub(crate) mod acme;
pub(crate) mod admin_password;
pub(crate) mod certificate;
pub(crate) mod certificate_request;
#[cfg(fuzzing)]
pub mod fuzz;
pub(crate) mod insecure_ports;
pub(crate) mod job_token;
mod multipart;
pub(crate) mod reset;

use super::body::Fault;
use super::response::Response;

/// The answer to a body that is not what is wanted.
fn refused(fault: Fault) -> Response {
    fault.answer(|text| Response::failure(400, text))
}
