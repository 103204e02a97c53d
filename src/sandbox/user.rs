//! Switches to the service user.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Gid, Mode, OFlags, Uid, chownat, fchown, openat};
use rustix::io::Errno;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// A user to switch to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
    /// Supplementary groups: a service's socket may be for one of them.
    groups: Vec<u32>,
}

impl User {
    /// Parses `uid:gid`, or looks up a name in `/etc/passwd`, with its groups in `/etc/group`.
    ///
    /// # Errors
    /// Which user is unknown, or what is wrong with its groups.
    pub(crate) fn find(text: &str) -> Result<User, String> {
        if let Some((uid, gid)) = text.split_once(':')
            && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
        {
            return Ok(User { uid, gid, groups: Vec::new() });
        }
        let passwd = std::fs::read_to_string("/etc/passwd")
            .map_err(|e| format!("cannot look up user \"{text}\": /etc/passwd: {e}"))?;
        let (uid, gid) = find_in(&passwd, text)
            .ok_or_else(|| format!("user \"{text}\" is not in /etc/passwd; give \"uid:gid\" or make it with 'adduser --system'"))?;
        let group = match std::fs::read_to_string("/etc/group") {
            Ok(group) => group,
            // An image may have its only user in /etc/passwd and no /etc/group.
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => {
                return Err(format!(
                    "cannot look up the groups of user \"{text}\": /etc/group: {e}"
                ));
            }
        };
        Ok(User { uid, gid, groups: groups_in(&group, text)? })
    }

    /// Gives up every other identity for good. Before that, creates missing folders of `own` with their mode, and
    /// gives all of them with their contents to the user, and what else is there in place of a folder. Root may lack
    /// `CAP_CHOWN`; then they have to be the user's already, as a service manager makes them.
    ///
    /// # Errors
    /// The process must not go on.
    pub(crate) fn become_for_good(self, own: &[(&Path, u32)]) -> Result<(), String> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if rustix::process::geteuid() == uid {
            return Ok(());
        }
        for (path, mode) in own {
            let made = match fs::symlink_metadata(path) {
                Ok(_) => Ok(()),
                Err(_) => DirBuilder::new().recursive(true).mode(*mode).create(path),
            };
            made.and_then(|()| hand_over(path, uid, gid))
                .or_else(|e| if is_of(path, uid) && forbidden(&e) { Ok(()) } else { Err(e) })
                .map_err(|e| format!("cannot give {} to user {uid}: {e}", path.display()))?;
        }
        // Replaces root's groups in any case.
        let groups: Vec<Gid> = self.groups.into_iter().map(Gid::from_raw).collect();
        set_thread_groups(&groups)
            .and_then(|()| set_thread_res_gid(gid, gid, gid))
            .and_then(|()| set_thread_res_uid(uid, uid, uid))
            .map_err(|e| format!("cannot become user {uid}: {e} (only root can)"))
    }
}

fn is_of(path: &Path, user: Uid) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.uid() == user.as_raw())
}

/// What root gets that was started without the capability for it.
fn forbidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Changes the owner of a file, or of a folder and all that is in it. Below `path` no link is followed, not even one
/// that the user puts in place of a folder meanwhile: each folder is opened by its name in the one above.
fn hand_over(path: &Path, uid: Uid, gid: Gid) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, path, flags, Mode::empty())?;
    hand_over_folder(&folder, uid, gid)
}

fn hand_over_folder(folder: &OwnedFd, uid: Uid, gid: Gid) -> io::Result<()> {
    fchown(folder, Some(uid), Some(gid))?;
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(folder, name, flags, Mode::empty()) {
            Ok(inner) => hand_over_folder(&inner, uid, gid)?,
            // Anything but a folder.
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// passwd(5): name, password, uid, gid, and more.
fn find_in(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))?
        .into_iter()
        .skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// group(5): name, password, gid, members with commas between. An unreadable group of the user is an error:
/// without it a service might silently be out of reach.
fn groups_in(group: &str, name: &str) -> Result<Vec<u32>, String> {
    let mut groups = Vec::new();
    for line in group.lines() {
        let fields: Vec<_> = line.split(':').collect();
        let [title, _, number, members, ..] = fields[..] else { continue };
        if !members.split(',').any(|member| member == name) {
            continue;
        }
        let gid = number.parse().map_err(|_| {
            format!("group \"{title}\" of user \"{name}\" has the invalid number \"{number}\" in /etc/group; correct that line or remove the user from it")
        })?;
        groups.push(gid);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::{User, find_in, groups_in};

    #[test]
    fn users_are_found_by_number_and_by_name() {
        let by_number = User { uid: 1000, gid: 100, groups: Vec::new() };
        assert_eq!(User::find("1000:100"), Ok(by_number));
        let passwd = "root:x:0:0:root:/root:/bin/sh\napplianced:x:990:991::/:/bin/false\n";
        assert_eq!(find_in(passwd, "applianced"), Some((990, 991)));
        assert_eq!(find_in(passwd, "appliance"), None);
    }

    #[test]
    fn a_user_has_the_groups_that_list_it_and_no_others() {
        let group = "root:x:0:\nengine:x:42:tts,applianced\nodd\napplianced:x:991:\n\
                     logs:x:43:applianced\nnear:x:44:applianced2,appliance, applianced\n+:::\n";
        assert_eq!(groups_in(group, "applianced"), Ok(vec![42, 43]));
        assert_eq!(groups_in(group, "root"), Ok(vec![]));
        assert_eq!(groups_in("", "applianced"), Ok(vec![]));
    }

    #[test]
    fn a_group_of_the_user_s_without_a_number_is_an_error_that_names_it() {
        let error = groups_in("good:x:1:applianced\nbad:x:-1:applianced\n", "applianced");
        let error = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("group \"bad\"") && error.contains("\"-1\""), "{error}");
        assert_eq!(groups_in("bad:x:-1:other\n", "applianced"), Ok(vec![]));
    }
}
