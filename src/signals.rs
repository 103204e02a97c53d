//! Requests to a running daemon: shut down, or reload its files.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::log::Log;

/// A request to the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM or SIGINT: finish the requests in progress and exit.
    Shutdown,
    /// SIGHUP, or a state file was changed by hand: read the files again.
    Reload,
}

/// Sources of requests: signals, and changes in the state folder.
pub(crate) struct Signals {
    shutdown: UnixStream,
    reload: UnixStream,
    changes: Option<OwnedFd>,
}

impl Signals {
    /// Starts to listen for signals.
    ///
    /// # Errors
    /// When signals can't be caught.
    pub(crate) fn listen() -> io::Result<Signals> {
        let on = |signals: &[i32]| -> io::Result<UnixStream> {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            for signal in signals {
                signal_hook::low_level::pipe::register(*signal, writer.try_clone()?)?;
            }
            Ok(reader)
        };
        Ok(Signals {
            shutdown: on(&[signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?,
            reload: on(&[signal_hook::consts::SIGHUP])?,
            changes: None,
        })
    }

    /// Also reports changes in `folders` from now on. If they can't be watched, only SIGHUP reloads them.
    pub(crate) fn watch(&mut self, folders: &[&Path], log: &Log) {
        match watch(folders) {
            Ok(changes) => self.changes = Some(changes),
            Err(e) => log.warn(format_args!(
                "cannot watch the state folder for files changed by hand ({}): only SIGHUP reloads \
                 them; raise max_inotify_instances and max_inotify_watches in /proc/sys/user, \
                 or the limits in /proc/sys/fs/inotify",
                io::Error::from(e)
            )),
        }
    }

    /// Waits for the next signal; several of one kind count as one. `None` after `most`, if given.
    ///
    /// # Errors
    /// When poll(2) fails.
    pub(crate) fn wait(&mut self, most: Option<Duration>) -> io::Result<Option<Signal>> {
        let most = most.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        loop {
            let mut waited = vec![
                PollFd::new(&self.shutdown, PollFlags::IN),
                PollFd::new(&self.reload, PollFlags::IN),
            ];
            waited.extend(self.changes.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
            match poll(&mut waited, most.as_ref()) {
                Ok(0) => return Ok(None),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            if drain(&mut self.shutdown) {
                return Ok(Some(Signal::Shutdown));
            }
            if drain(&mut self.reload) | self.changes.as_ref().is_some_and(changed) {
                return Ok(Some(Signal::Reload));
            }
        }
    }
}

fn drain(reader: &mut UnixStream) -> bool {
    matches!(reader.read(&mut [0; 64]), Ok(n) if n > 0)
}

fn watch(folders: &[&Path]) -> rustix::io::Result<OwnedFd> {
    let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    // A new mode or owner changes whether a file is trusted.
    let whole = inotify::WatchFlags::ATTRIB
        | inotify::WatchFlags::CLOSE_WRITE
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::DELETE
        | inotify::WatchFlags::ONLYDIR;
    for folder in folders {
        inotify::add_watch(&changes, *folder, whole)?;
    }
    Ok(changes)
}

/// Empties the queue; true if a relevant file was among the changes. Names with a leading dot are
/// temporary files before their rename, and the license's files are not meant to be edited by hand.
fn changed(changes: &OwnedFd) -> bool {
    let mut memory = [MaybeUninit::uninit(); 4 << 10];
    let mut events = inotify::Reader::new(changes.as_fd(), &mut memory);
    let mut any = false;
    while let Ok(event) = events.next() {
        any |= event.file_name().is_some_and(|name| {
            let name = name.to_bytes();
            !name.starts_with(b".") && !name.starts_with(b"license")
        });
    }
    any
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::{changed, watch};
    use crate::config::Api;
    use crate::log::Log;
    use crate::security::{Actor, SecuritySettings};
    use crate::store::Scratch;

    #[test]
    fn every_way_to_change_a_file_is_heard_and_a_reload_is_none() {
        let scratch = Scratch::new();
        let root = scratch.0.join("state");
        let api = Api { v1: true, v2: false };
        let settings = SecuritySettings::open(&root, api, Log::to(|_| {})).unwrap();
        let (file, other) = (root.join("admin.htpasswd"), root.join("admin.htpasswd.old"));
        let changes = watch(&[&root, &root.join("tls")]).unwrap();
        let mode = |mode| fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let ways: [(&str, &dyn Fn()); 7] = [
            ("set", &|| settings.set_password(&Actor::Local, "first").unwrap()),
            ("not to be trusted", &|| mode(0o666)),
            ("repaired", &|| mode(0o600)),
            ("damaged", &|| fs::write(&file, "damage").unwrap()),
            ("set again", &|| settings.set_password(&Actor::Local, "second").unwrap()),
            ("moved", &|| fs::rename(&file, &other).unwrap()),
            ("removed", &|| fs::remove_file(&other).unwrap()),
        ];
        for (way, change) in ways {
            change();
            assert!(changed(&changes), "{way}");
            settings.reload();
            assert!(!changed(&changes), "{way}: the reload wakes itself");
        }
        for name in [".admin.htpasswd.tmp", "license.json", "license-usage.log"] {
            fs::write(root.join(name), "").unwrap();
            fs::set_permissions(root.join(name), Permissions::from_mode(0o640)).unwrap();
            assert!(!changed(&changes), "{name}");
        }
    }
}
