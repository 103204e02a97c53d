//! The state of the license, and what it allows: pure functions and the record on disk.

pub(crate) mod clock;
pub(crate) mod entitlement;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod transition;
pub(crate) mod usage_log;
