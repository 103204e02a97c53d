//! Gives up rights for good once the ports are bound and before the first thread: root, capabilities,
//! files the daemon doesn't need, system calls it never makes.
//!
//! All of it applies to the calling thread and the threads it starts, so it is done while there is only one.
//! The first two can't fail on any supported kernel; if they do, the daemon does not start. The last two
//! need Landlock and seccomp; if the kernel lacks them, the log says what follows from that.

mod capabilities;
mod landlock;
mod seccomp;
mod user;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

pub(crate) use crate::sandbox::user::User;

use crate::config::Config;
use crate::log::Log;
use crate::store;

/// Mode of `run_dir`; the sockets in it have their own modes.
const RUN_DIR_MODE: u32 = 0o755;

/// Confines the calling thread, and creates missing folders of the settings, because afterwards that is
/// no longer possible.
///
/// # Errors
/// Which right could not be given up: the process must not go on.
pub(crate) fn confine(config: &Config, log: &Log) -> Result<(), String> {
    let user = config.user.as_deref().map(User::find).transpose()?;
    capabilities::shrink_bounding_set()?;
    match user {
        Some(user) => {
            user.become_for_good(&[(&config.state_dir, 0o700), (&config.run_dir, RUN_DIR_MODE)])?;
        }
        None if rustix::process::geteuid().is_root() => log.warn(
            "running as root, though without its capabilities: set \"user\" in the settings to give that up after binding",
        ),
        None => {}
    }
    capabilities::give_up()?;
    store::make_folder(&config.state_dir).map_err(|error| error.to_string())?;
    let run_dir = &config.run_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(RUN_DIR_MODE)
        .create(run_dir)
        .map_err(|error| format!("can't make the folder {}: {error}", run_dir.display()))?;
    for lack in [landlock::confine(config), seccomp::confine()].into_iter().filter_map(Result::err)
    {
        log.warn(lack);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
