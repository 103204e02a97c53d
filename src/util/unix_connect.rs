//! Connects to a Unix socket without blocking: a blocking caller waits as long as the listener's queue is
//! full.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Returns a nonblocking connection at once.
///
/// # Errors
/// `AGAIN` if the queue is full, and the errors of connect(2).
pub(crate) fn connect(path: &Path) -> Result<UnixStream, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// Retries while the error `is_transient` and `timeout` has not passed; returns the last error.
pub(crate) fn retry<T>(
    timeout: Duration,
    mut attempt: impl FnMut() -> Result<T, Errno>,
    is_transient: impl Fn(Errno) -> bool,
) -> Result<T, Errno> {
    let deadline = Instant::now() + timeout;
    loop {
        match attempt() {
            Err(e) if is_transient(e) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5)); // nothing to wait on: it is not in the queue
            }
            other => return other,
        }
    }
}
