//! Non-blocking byte streams, and how to wait for them with a deadline.
//!
//! In: the trait that the client's side and the service's side have in common. Out: what they are made
//! of, and what the bytes mean.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A non-blocking stream: `WouldBlock` means "wait for [`Duplex::descriptor`] and try again".
pub(crate) trait Duplex {
    /// Bytes that have arrived; 0 at the end of the peer's side.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Hands bytes on; what is accepted may still wait inside until [`Duplex::try_flush`] says `Ok`.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Pushes what waits inside into the kernel.
    fn try_flush(&mut self) -> io::Result<()>;

    /// Says that no more bytes will follow, and leaves the other direction open.
    fn finish_writing(&mut self) -> io::Result<()>;

    /// Has been waited for, and can be read; `ending` if the peer will say no more.
    fn note_readable(&mut self, ending: bool);

    /// What to wait for.
    fn descriptor(&self) -> BorrowedFd<'_>;
}

/// A descriptor and what to wait for on it. One without flags is left out, for the kernel reports
/// hang-ups even to those who asked for nothing, and a loop around it would spin.
pub(crate) type Interest<'a> = (BorrowedFd<'a>, PollFlags);

/// Waits until one of `interests` is ready and says what is; `None` once `deadline` has passed.
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

/// `duration` for the kernel, rounded up to the next millisecond so that a wait never spins at its end.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    let rounded = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(rounded.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: rounded.subsec_nanos().into(),
    }
}
