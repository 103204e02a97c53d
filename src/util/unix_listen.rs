//! Listens on a Unix socket: with its mode from the start, and only where no other server listens.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::unix_connect;

/// For the owner alone.
pub(crate) const OWNER: Mode = Mode::RUSR.union(Mode::WUSR);

/// For the owner and the group.
pub(crate) const OWNER_AND_GROUP: Mode = OWNER.union(Mode::RGRP).union(Mode::WGRP);

/// Listens at `path` with `mode`; the kernel queues up to `backlog` connections.
///
/// A stale socket, on which nobody listens, is removed.
///
/// # Errors
/// One line that names the path: anything else is there, another process listens on it, or the system
/// refuses.
pub(crate) fn listen(path: &Path, mode: Mode, backlog: i32) -> Result<UnixListener, String> {
    clear(path)?;
    bind(path, mode, backlog)
        .map_err(|error| format!("can't listen on {}: {error}", path.display()))
}

fn clear(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{shown}: {error}")),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(format!(
                "{shown} exists and is not a socket; remove it or choose another path"
            ));
        }
        Ok(_) => {}
    }
    match is_listening(path) {
        Ok(false) => match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(format!("can't remove the stale socket {shown}: {error}"))
            }
            _ => Ok(()),
        },
        Ok(true) => Err(format!("another daemon already answers on {shown}; stop it first")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Linux gives the new file the socket's own mode less the umask (`unix_bind`). Setting that mode first
/// leaves no moment in which others may connect, and does not change the umask of the process.
fn bind(path: &Path, mode: Mode, backlog: i32) -> io::Result<UnixListener> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::fs::fchmod(&socket, mode)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Restores what the umask removed, before the socket listens.
    rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())?;
    rustix::net::listen(&socket, backlog)?;
    Ok(UnixListener::from(socket))
}

/// Whether a server listens at `path`, busy or not.
///
/// # Errors
/// Those of connect(2) that tell neither.
pub(crate) fn is_listening(path: &Path) -> io::Result<bool> {
    let tried = unix_connect::connect(path, Duration::ZERO).map_err(io::Error::from);
    match tried {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock => Ok(true),
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => Ok(false),
            _ => Err(error),
        },
    }
}
