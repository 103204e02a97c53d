//! Become the service user, or refuse to go on.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Uid, chownat};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// A user to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// `uid:gid`, or a name out of `/etc/passwd`.
    ///
    /// # Errors
    /// One line that says which user is not known here.
    pub fn find(text: &str) -> Result<User, String> {
        if let Some((uid, gid)) = text.split_once(':')
            && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
        {
            return Ok(User { uid, gid });
        }
        let passwd = std::fs::read_to_string("/etc/passwd")
            .map_err(|e| format!("cannot look up user \"{text}\": /etc/passwd: {e}"))?;
        find_in(&passwd, text)
            .ok_or_else(|| format!("user \"{text}\" is not in /etc/passwd; give \"uid:gid\" or make it with 'adduser --system'"))
    }

    /// Gives up every other identity for good. `folders`, with the mode of those that have to be made,
    /// change hands first with all that is in them.
    ///
    /// # Errors
    /// One line; the process must not go on.
    pub fn become_for_good(self, folders: &[(&Path, u32)]) -> Result<(), String> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if rustix::process::geteuid() == uid {
            return Ok(());
        }
        for (folder, mode) in folders {
            DirBuilder::new()
                .recursive(true)
                .mode(*mode)
                .create(folder)
                .and_then(|()| hand_over(folder, uid, gid))
                .map_err(|e| format!("cannot give {} to user {uid}: {e}", folder.display()))?;
        }
        set_thread_groups(&[])
            .and_then(|()| set_thread_res_gid(gid, gid, gid))
            .and_then(|()| set_thread_res_uid(uid, uid, uid))
            .map_err(|e| format!("cannot become user {uid}: {e} (only root can)"))
    }
}

/// Two levels deep, which is all a state folder has; links are not followed.
fn hand_over(folder: &Path, uid: Uid, gid: Gid) -> io::Result<()> {
    let own = |path: &Path| chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
    own(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            for inner in std::fs::read_dir(entry.path())? {
                own(&inner?.path())?;
            }
        }
        own(&entry.path())?;
    }
    Ok(())
}

/// passwd(5): name, password, uid, gid, and more.
fn find_in(passwd: &str, name: &str) -> Option<User> {
    let mut fields = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&name))?
        .into_iter()
        .skip(2);
    Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{User, find_in};

    #[test]
    fn users_are_found_by_number_and_by_name() {
        assert_eq!(User::find("1000:100"), Ok(User { uid: 1000, gid: 100 }));
        let passwd = "root:x:0:0:root:/root:/bin/sh\napplianced:x:990:991::/:/bin/false\n";
        assert_eq!(find_in(passwd, "applianced"), Some(User { uid: 990, gid: 991 }));
        assert_eq!(find_in(passwd, "appliance"), None);
    }
}
