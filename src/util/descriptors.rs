//! The limit of file descriptors, and the backlog of our own servers.

use rustix::process::{Resource, getrlimit};

/// Most descriptors of this process; see setrlimit(2), `RLIMIT_NOFILE`.
pub(crate) fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Backlog of a server of our own. Each waiting connection will need two descriptors, and tiny_http stops
/// accepting for good if it gets none, so the backlog depends on their number.
pub(crate) fn backlog() -> u16 {
    u16::try_from(limit() / 16).unwrap_or(u16::MAX).clamp(4, 128)
}
