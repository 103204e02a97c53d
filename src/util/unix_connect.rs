//! Connects to a Unix socket: connect(2) either blocks without a limit or does not wait at all for a place in the
//! listener's queue.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Returns a nonblocking connection; waits up to `timeout` while the listener's queue is full.
///
/// # Errors
/// `AGAIN` if the queue is still full then, and the errors of connect(2).
pub(crate) fn connect(path: &Path, timeout: Duration) -> Result<UnixStream, Errno> {
    let deadline = Instant::now() + timeout;
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    loop {
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Ok(UnixStream::from(socket)),
            Err(Errno::AGAIN) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5)); // nothing to wait on: it is not in the queue
            }
            Err(e) => return Err(e),
        }
    }
}
