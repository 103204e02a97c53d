//! The Unix socket of a server: private from the start, and only where no other server listens.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::fs::Mode;

pub(crate) use crate::util::unix_listen::{OWNER, OWNER_AND_GROUP, is_listening};
use crate::util::{unix_connect, unix_listen};

/// Connections that the kernel may queue. Each needs two descriptors once it is accepted, and tiny_http stops
/// accepting if it gets none.
const BACKLOG: i32 = 16;

/// Listens at `path` with `mode`, creating its folder with mode 0755 if missing.
///
/// A stale socket is removed; anything else at `path` is an error.
pub(crate) fn listen(path: &Path, mode: Mode) -> Result<UnixListener, String> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(|error| format!("can't make the folder {}: {error}", folder.display()))?;
    unix_listen::listen(path, mode, BACKLOG)
}

/// Connects without blocking: [`io::ErrorKind::WouldBlock`] if the listener's queue is full.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    connect_within(path, Duration::ZERO)
}

/// Connects, waiting up to `timeout` while the listener's queue is full.
pub(crate) fn connect_within(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let stream = unix_connect::connect(path, timeout)?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

    use super::OWNER;

    fn listen(path: &std::path::Path) -> Result<std::os::unix::net::UnixListener, String> {
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
        assert!(listen(&path).unwrap_err().contains("another daemon already answers"));
        UnixStream::connect(&path).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_is_never_removed() {
        let folder = folder("file");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(listen(&path).unwrap_err().contains("is not a socket"));
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
