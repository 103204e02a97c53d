//! The part of the file system that is left, by Landlock (`landlock(7)`), and no more ports to bind.
//!
//! The rules come from the settings, for state and sockets may lie anywhere. Not among them: the
//! settings file (read before), the services' sockets and every look at attributes and free room, which
//! Landlock doesn't judge. A rule on a file is lost when the file is replaced, so what others replace
//! while the daemon runs is allowed by its folder.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, make_bitflags,
};

use crate::config::Config;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
/// State: files replaced whole and folders, nothing to run and no devices.
const KEEP: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir
});
const SOCKETS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadDir | MakeSock | RemoveFile});

/// The kernel interface that everything here needs; an older kernel enforces what it knows.
const WANTED: ABI = ABI::V6;

/// Confines the calling thread.
///
/// # Errors
/// What the kernel lacks and what that means: a warning, for the daemon can do without.
pub(crate) fn confine(config: &Config) -> Result<(), String> {
    let user = rustix::process::geteuid();
    let without = |reason: &str| {
        format!("no Landlock ({reason}): the daemon can open every file that user {user} can")
    };
    let status = restrict(config).map_err(|fault| without(&fault.to_string()))?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) => Ok(()),
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err(without("the kernel has it, but it is not in the list of the boot parameter lsm="))
        }
        (RulesetStatus::NotEnforced, _) => Err(without("the kernel has none")),
        (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            Err(lacking(effective_abi))
        }
        (RulesetStatus::PartiallyEnforced, _) => Err(without("only a part of it")),
    }
}

/// What a kernel older than [`WANTED`] doesn't enforce.
fn lacking(abi: ABI) -> String {
    let mut open = Vec::new();
    if abi < ABI::V3 {
        open.push("truncating files that are not its own");
    }
    if abi < ABI::V4 {
        open.push("binding ports");
    }
    if abi < ABI::V5 {
        open.push("commands to devices");
    }
    if abi < ABI::V6 {
        open.push("signals to processes of its user");
    }
    format!(
        "Landlock of an older kernel (interface {} of {}): files are confined; left to the user's rights: {}",
        abi as i32,
        WANTED as i32,
        open.join(", ")
    )
}

fn restrict(config: &Config) -> Result<landlock::RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(WANTED))?
        // Every port is bound by now. Connecting can't be ruled: the proxy may have any port.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket)?
        .scope(Scope::Signal)?
        .create()?;
    for (path, access) in wanted(config) {
        // What is not there needs no rule.
        if let Ok(place) = PathFd::new(&path) {
            rules = rules.add_rule(PathBeneath::new(place, access))?;
        }
    }
    rules.restrict_self()
}

fn wanted(config: &Config) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let mut wanted = vec![
        (config.state_dir.clone(), KEEP),
        (config.run_dir.clone(), SOCKETS),
        (config.license.trust_file.clone(), AccessFs::ReadFile.into()),
        // Monitoring.
        ("/proc".into(), READ),
        ("/sys".into(), READ),
        ("/etc/os-release".into(), AccessFs::ReadFile.into()),
        // Random numbers, on kernels whose getrandom(2) is not enough for aws-lc.
        ("/dev/urandom".into(), AccessFs::ReadFile.into()),
        ("/dev/null".into(), AccessFs::ReadFile | AccessFs::WriteFile),
        // Names of hosts: files that a DHCP client puts in place anew.
        ("/etc".into(), AccessFs::ReadFile.into()),
    ];
    for name in ["/etc/hosts", "/etc/resolv.conf"] {
        wanted.extend(
            target_folder(Path::new(name)).map(|folder| (folder, AccessFs::ReadFile.into())),
        );
    }
    wanted
}

/// The folder of what a link points to; where that is to come yet, as that of a network manager which
/// starts after us, the nearest one above that is there. `None` for what is no link, and where nothing
/// but `/` is left: that would allow every file.
fn target_folder(link: &Path) -> Option<PathBuf> {
    let target = link.parent()?.join(fs::read_link(link).ok()?);
    let file = fs::canonicalize(&target).unwrap_or(target);
    let nearest = file.ancestors().skip(1).find_map(|folder| fs::canonicalize(folder).ok())?;
    nearest.parent().is_some().then_some(nearest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::target_folder;

    #[test]
    fn a_link_to_a_file_whose_folder_is_to_come_yet_allows_the_folder_above_but_never_everything() {
        let folder = std::env::temp_dir().join(format!("applianced-links-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("there")).unwrap();
        let folder = fs::canonicalize(folder).unwrap();
        let link = folder.join("resolv.conf");
        let lead_to = |target: &str| {
            let _ = fs::remove_file(&link);
            symlink(target, &link).unwrap();
            target_folder(&link)
        };
        assert_eq!(lead_to("there/resolv.conf"), Some(folder.join("there")));
        assert_eq!(lead_to("manager/own/resolv.conf"), Some(folder.clone()));
        assert_eq!(lead_to("../none-such/resolv.conf"), folder.parent().map(Path::to_owned));
        assert_eq!(lead_to("/none-such/resolv.conf"), None);
        assert_eq!(lead_to("/etc/../none-such/resolv.conf"), None);
        fs::remove_file(&link).unwrap();
        assert_eq!(target_folder(&link), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
