//! The worker that owns the state of the license and asks the authority.

pub(crate) mod exchange;
pub(crate) mod network;
pub(crate) mod online;
pub(crate) mod question;
pub(crate) mod worker;
