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
use std::path::Path;

pub(crate) use crate::sandbox::user::User;

use crate::config::Config;
use crate::log::Log;
use crate::store;

/// Mode of `run_dir`; the sockets in it have their own modes.
const RUN_DIR_MODE: u32 = 0o755;

/// Confines the calling thread of the appliance's daemon, and creates missing folders of the settings, because
/// afterwards that is no longer possible.
///
/// # Errors
/// Which right could not be given up: the process must not go on.
pub(crate) fn confine(config: &Config, log: &Log) -> Result<(), String> {
    let own = [(&*config.state_dir, 0o700), (&*config.run_dir, RUN_DIR_MODE)];
    become_and_give_up(config.user.as_deref(), "\"user\" in the settings", &own, log)?;
    store::make_folder(&config.state_dir).map_err(|error| error.to_string())?;
    let run_dir = &config.run_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(RUN_DIR_MODE)
        .create(run_dir)
        .map_err(|error| format!("can't make the folder {}: {error}", run_dir.display()))?;
    restrict(landlock::of_appliance(config), log);
    Ok(())
}

/// Confines the calling thread of the license authority's server: to `folder`, which exists, and to the folders of
/// its `sockets`, which exist too and are given to `user`.
///
/// # Errors
/// Which right could not be given up: the process must not go on.
pub(crate) fn confine_authority(
    folder: &Path,
    sockets: &[&Path],
    user: Option<&str>,
    log: &Log,
) -> Result<(), String> {
    let own: Vec<(&Path, u32)> =
        std::iter::once(folder).chain(sockets.iter().copied()).map(|path| (path, 0o700)).collect();
    become_and_give_up(user, "--user", &own, log)?;
    restrict(landlock::of_authority(folder, sockets), log);
    Ok(())
}

/// Becomes `user`, if any, who gets what is in `own`, and gives up all other rights of root.
fn become_and_give_up(
    user: Option<&str>,
    setting: &str,
    own: &[(&Path, u32)],
    log: &Log,
) -> Result<(), String> {
    let user = user.map(User::find).transpose()?;
    capabilities::shrink_bounding_set()?;
    match user {
        Some(user) => user.become_for_good(own)?,
        None if rustix::process::geteuid().is_root() => log.warn(format_args!(
            "running as root, though without its capabilities: set {setting} to give that up after binding"
        )),
        None => {}
    }
    capabilities::give_up()
}

/// Restricts files and system calls, as far as the kernel can.
fn restrict(files: landlock::Rules, log: &Log) {
    for lack in [landlock::confine(files), seccomp::confine()].into_iter().filter_map(Result::err) {
        log.warn(lack);
    }
}

#[cfg(test)]
mod tests;
