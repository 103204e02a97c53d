//! How many descriptors this process may have, and what waits to become some.

use rustix::process::{Resource, getrlimit};

/// All that it may have at once; see setrlimit(2), `RLIMIT_NOFILE`.
pub(crate) fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Connections to a server of our own that may wait to be accepted. Each will need two descriptors, and
/// tiny_http stops accepting for good where it gets none; so there are few of them where those are few.
pub(crate) fn backlog() -> u16 {
    u16::try_from(limit() / 16).unwrap_or(u16::MAX).clamp(4, 128)
}
