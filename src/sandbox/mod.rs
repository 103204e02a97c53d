//! What the daemon gives up for good once its ports are bound and before its first thread: root,
//! capabilities, files it has no business with, system calls it never makes.
//!
//! All of it holds for the calling thread and those it starts, so it is done while there is one. The
//! first two can't fail on any kernel that runs us, and if they do, the daemon does not start. The
//! last two need Landlock and seccomp; where the kernel lacks them, the log says what that means.

mod capabilities;
mod landlock;
mod seccomp;
mod user;

use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

pub(crate) use crate::sandbox::user::User;

use crate::config::Config;
use crate::log::Log;
use crate::store;

/// Mode of `run_dir`: the sockets in it have modes of their own.
const RUN_DIR_MODE: u32 = 0o755;

/// Why the daemon can't give up its rights, so that it must not go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Confines the calling thread, and makes the folders of the settings where they are missing, for
/// afterwards nothing can be made beside them.
///
/// # Errors
/// One line; the process must not go on.
pub(crate) fn confine(config: &Config, log: &Log) -> Result<(), Error> {
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
    store::make_folder(&config.state_dir).map_err(|error| Error(error.to_string()))?;
    let run_dir = &config.run_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(RUN_DIR_MODE)
        .create(run_dir)
        .map_err(|error| Error(format!("can't make the folder {}: {error}", run_dir.display())))?;
    for lack in [landlock::confine(config), seccomp::confine()].into_iter().filter_map(Result::err)
    {
        log.warn(lack);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
