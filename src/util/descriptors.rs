//! The limit of file descriptors.

use rustix::process::{Resource, getrlimit};

/// Most descriptors of this process; see setrlimit(2), `RLIMIT_NOFILE`.
pub(crate) fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}
