//! Connecting to a Unix socket without being held by it: one whose queue is full keeps a caller that
//! blocks for as long as it likes.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// A connection that does not block, at once; `admits` is asked about its socket before.
///
/// # Errors
/// `AGAIN` where the queue is full, those of connect(2), and what `admits` says.
pub(crate) fn connect(
    path: &Path,
    admits: impl FnOnce(&OwnedFd) -> Result<(), Errno>,
) -> Result<UnixStream, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    admits(&socket)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// Tries again as long as what is in the way `passes` and there is `patience`, and fails as it did last.
pub(crate) fn retry<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T, Errno>,
    passes: impl Fn(Errno) -> bool,
) -> Result<T, Errno> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Err(e) if passes(e) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5)); // nothing to wait on: it is not in the queue
            }
            other => return other,
        }
    }
}
