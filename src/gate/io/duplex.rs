//! Non-blocking byte streams, and waiting for them with a deadline.
//!
//! In: the trait that client and upstream connections share. Out: how they are implemented, and what the bytes
//! mean.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A non-blocking stream; `WouldBlock` means: wait for [`Duplex::descriptor`] and try again.
pub(crate) trait Duplex {
    /// Reads bytes that have arrived; returns 0 when the peer has closed its side.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Accepts bytes to send; they may stay buffered until [`Duplex::try_flush`] returns `Ok`.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    /// Accepts the bytes of `pieces` in their order, as [`Duplex::try_write`] does.
    fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Hands all buffered bytes to the kernel.
    fn try_flush(&mut self) -> io::Result<()>;

    /// Closes the sending direction and leaves the other direction open.
    fn finish_writing(&mut self) -> io::Result<()>;

    /// Records that the stream can be read; `read_closed` if the peer will send no more.
    fn set_readable(&mut self, read_closed: bool);

    /// The descriptor to wait for.
    fn descriptor(&self) -> BorrowedFd<'_>;
}

/// A descriptor and the events to wait for. An entry without flags is not polled, because the kernel would
/// still report hang-ups and a loop around it would spin.
pub(crate) type Interest<'a> = (BorrowedFd<'a>, PollFlags);

/// Waits until one of `interests` is ready and returns the events; `None` once `deadline` has passed.
pub(crate) fn wait<const N: usize>(
    interests: [Interest<'_>; N],
    deadline: Instant,
) -> io::Result<Option<[PollFlags; N]>> {
    let mut waited: Vec<PollFd<'_>> = interests
        .iter()
        .filter(|(_, flags)| !flags.is_empty())
        .map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
        .collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll(&mut waited, Some(&timespec(left))) {
            Ok(0) if Instant::now() >= deadline => return Ok(None),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break,
            Err(e) => return Err(e.into()),
        }
    }
    let mut ready = waited.iter().map(PollFd::revents);
    let reported = |(_, flags): Interest<'_>| {
        if flags.is_empty() { flags } else { ready.next().unwrap_or(PollFlags::empty()) }
    };
    Ok(Some(interests.map(reported)))
}

/// Converts `duration`, rounded up to the next millisecond so that a wait never spins at its end.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    let rounded = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(rounded.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: rounded.subsec_nanos().into(),
    }
}
