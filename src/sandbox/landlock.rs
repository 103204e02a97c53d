//! Restricts the file system and forbids binding ports, by Landlock (`landlock(7)`).
//!
//! The rules come from the settings, because state and sockets may be anywhere. They leave out the
//! settings file (read before), the services' sockets, and reading attributes and free space, which
//! Landlock doesn't restrict. A rule on a file is lost when the file is replaced, so files that others
//! replace while the daemon runs are allowed by their folder.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, make_bitflags,
};

use crate::config::Config;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
/// Access to the state: replacing files and folders; no programs, no devices.
const KEEP: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir
});
const SOCKETS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadDir | MakeSock | RemoveFile});

/// The Landlock version that everything here needs; an older kernel enforces what it knows.
const WANTED: ABI = ABI::V6;

/// What may be done with which file or folder.
pub(crate) type Rules = Vec<(PathBuf, BitFlags<AccessFs>)>;

/// Confines the calling thread to `rules`.
///
/// # Errors
/// What the kernel lacks and what follows from that: a warning, because the daemon works without.
pub(crate) fn confine(rules: Rules) -> Result<(), String> {
    let user = rustix::process::geteuid();
    let without = |reason: &str| {
        format!("no Landlock ({reason}): the daemon can open every file that user {user} can")
    };
    let status = restrict(rules).map_err(|error| without(&error.to_string()))?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) => Ok(()),
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err(without("the kernel supports it, but the boot parameter lsm= does not list it"))
        }
        (RulesetStatus::NotEnforced, _) => Err(without("the kernel does not support it")),
        (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            Err(lacking(effective_abi))
        }
        (RulesetStatus::PartiallyEnforced, _) => Err(without("only partly enforced")),
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
        "the kernel has an older Landlock (version {} of {}): files are confined, but not: {}",
        abi as i32,
        WANTED as i32,
        open.join(", ")
    )
}

fn restrict(wanted: Rules) -> Result<landlock::RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(WANTED))?
        // Every port is bound by now. Connecting is not restricted, because the proxy may have any port.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket)?
        .scope(Scope::Signal)?
        .create()?;
    for (path, access) in wanted {
        // An absent path needs no rule.
        if let Ok(place) = PathFd::new(&path) {
            rules = rules.add_rule(PathBeneath::new(place, access))?;
        }
    }
    rules.restrict_self()
}

/// Of the appliance's daemon.
pub(crate) fn of_appliance(config: &Config) -> Rules {
    let mut rules = vec![
        (config.state_dir.clone(), KEEP),
        (config.run_dir.clone(), SOCKETS),
        (config.license.trust_file.clone(), AccessFs::ReadFile.into()),
        // Monitoring.
        ("/proc".into(), READ),
        ("/sys".into(), READ),
    ];
    rules.extend(of_everybody());
    rules
}

/// Of the license authority's server.
pub(crate) fn of_authority(folder: &Path, sockets: &[&Path]) -> Rules {
    let mut rules = vec![(folder.to_owned(), KEEP)];
    // To remove its sockets in the end.
    let folders = sockets.iter().filter_map(|socket| socket.parent());
    rules.extend(folders.map(|folder| (folder.to_owned(), SOCKETS)));
    rules.extend(of_everybody());
    rules
}

fn of_everybody() -> Rules {
    let mut rules = vec![
        ("/etc/os-release".into(), AccessFs::ReadFile.into()),
        // Random numbers, on kernels whose getrandom(2) is not enough for aws-lc.
        ("/dev/urandom".into(), AccessFs::ReadFile.into()),
        ("/dev/null".into(), AccessFs::ReadFile | AccessFs::WriteFile),
        // Name resolution: files that a DHCP client replaces.
        ("/etc".into(), AccessFs::ReadFile.into()),
    ];
    for name in ["/etc/hosts", "/etc/resolv.conf"] {
        let folder = target_folder(Path::new(name));
        rules.extend(folder.map(|folder| (folder, AccessFs::ReadFile.into())));
    }
    rules
}

/// The folder of a link's target; if the target does not exist yet, as that of a network manager that
/// starts later, the nearest existing folder above it. `None` if it is not a link, or if only `/` is left,
/// which would allow every file.
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
