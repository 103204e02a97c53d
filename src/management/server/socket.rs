//! The Unix socket of a server: private from the start, and only where no other server listens.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::management::Error;
use crate::util::unix_connect;

/// Connections that the kernel may queue. Each needs two descriptors once it is accepted, and tiny_http stops
/// accepting if it gets none.
const BACKLOG: i32 = 16;

/// For root and the daemon's user.
pub(crate) const OWNER: Mode = Mode::RUSR.union(Mode::WUSR);

/// For root, the daemon's user and its group.
pub(crate) const OWNER_AND_GROUP: Mode = OWNER.union(Mode::RGRP).union(Mode::WGRP);

/// Listens at `path` with `mode`, creating its folder with mode 0755 if missing.
///
/// A stale socket is removed; anything else at `path` is an error.
pub(crate) fn listen(path: &Path, mode: Mode) -> Result<UnixListener, Error> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(|error| Error(format!("can't make the folder {}: {error}", folder.display())))?;
    clear(path)?;
    bind(path, mode).map_err(|error| Error(format!("can't listen on {}: {error}", path.display())))
}

fn clear(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error(format!("{shown}: {error}"))),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Error(format!(
                "{shown} exists and is not a socket; remove it or choose another run_dir"
            )));
        }
        Ok(_) => {}
    }
    match is_listening(path) {
        Ok(false) => match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error(format!("can't remove the stale socket {shown}: {error}")))
            }
            _ => Ok(()),
        },
        Ok(true) => Err(Error(format!("another daemon already answers on {shown}; stop it first"))),
        Err(error) => Err(Error(format!("{shown}: {error}"))),
    }
}

/// Linux gives the new file the socket's own mode less the umask (`unix_bind`). Setting that mode first
/// leaves no moment in which others may connect, and does not change the umask of the process.
fn bind(path: &Path, mode: Mode) -> io::Result<UnixListener> {
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
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Connects without blocking: [`ErrorKind::WouldBlock`] if the listener's queue is full.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    connect_within(path, Duration::ZERO)
}

/// Connects, waiting up to `timeout` while the listener's queue is full.
pub(crate) fn connect_within(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let stream = unix_connect::connect(path, timeout)?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Whether a server listens at `path`, busy or not.
pub(crate) fn is_listening(path: &Path) -> io::Result<bool> {
    match connect(path) {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock => Ok(true),
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => Ok(false),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

    use super::OWNER;

    fn listen(path: &std::path::Path) -> Result<std::os::unix::net::UnixListener, super::Error> {
        super::listen(path, OWNER)
    }

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("applianced-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_socket_is_private_in_a_folder_others_may_look_into() {
        let folder = folder("private");
        let path = folder.join("control.sock");
        let _listener = listen(&path).unwrap();
        assert_eq!((mode(&path), mode(&folder)), (0o600, 0o755));
        UnixStream::connect(&path).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_leftover_is_replaced_and_a_living_one_is_left_alone() {
        let folder = folder("leftover");
        let path = folder.join("control.sock");
        drop(listen(&path).unwrap());
        let _second = listen(&path).unwrap();
        assert!(listen(&path).unwrap_err().to_string().contains("another daemon already answers"));
        UnixStream::connect(&path).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_is_never_removed() {
        let folder = folder("file");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(listen(&path).unwrap_err().to_string().contains("is not a socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn who_finds_no_room_waits_for_it() {
        let folder = folder("room");
        let path = folder.join("control.sock");
        let listener = listen(&path).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = super::connect(&path) {
            waiting.push(stream);
        }
        let timeout = std::time::Duration::from_secs(20);
        std::thread::scope(|scope| {
            let late = scope.spawn(|| super::connect_within(&path, timeout));
            drop(listener.accept().unwrap());
            late.join().unwrap().unwrap();
        });
        let full = super::connect_within(&path, std::time::Duration::ZERO).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
        fs::remove_dir_all(folder).unwrap();
    }
}
