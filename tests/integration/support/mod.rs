//! What tests share: a running appliance, the vendor's authority, certificates, clients, services behind
//! the gate, and real `curl`, `openssl` and `strace`.
//!
//! In: what several tests need. Out: any expectation; what an answer must be stands in the test.

pub(crate) mod appliance;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod command;
pub(crate) mod date;
pub(crate) mod engine;
pub(crate) mod folder;
pub(crate) mod license;
pub(crate) mod network;
pub(crate) mod not_tried;
pub(crate) mod prerequisites;
pub(crate) mod settings;
pub(crate) mod strace;
pub(crate) mod stub;
pub(crate) mod tls;
pub(crate) mod vendor;
pub(crate) mod wait;
