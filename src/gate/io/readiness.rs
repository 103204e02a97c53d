//! Edge-triggered readiness of a socket: epoll reports each change once, so it is recorded here.
//!
//! The record saves reads that would return nothing: a read that fills only a part of its buffer has emptied
//! the socket (epoll(7), "Questions and answers", 9), unless the peer had closed its side before.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, EventData, EventFlags};

/// The known state of one socket, and its registration with epoll.
pub(crate) struct Readiness {
    /// A read may return bytes or the end of the stream.
    readable: bool,
    /// The peer will send no more.
    read_closed: bool,
    registration: Option<Registration>,
}

struct Registration {
    epoll: Arc<OwnedFd>,
    flags: EventFlags,
}

impl Readiness {
    /// The state of a new socket, which may be readable.
    pub(crate) fn new() -> Readiness {
        Readiness { readable: true, read_closed: false, registration: None }
    }

    /// Records that the socket can be read; `read_closed` if its peer will send no more.
    pub(crate) fn set_readable(&mut self, read_closed: bool) {
        self.readable = true;
        self.read_closed |= read_closed;
    }

    /// True if the peer will send no more.
    pub(crate) fn is_read_closed(&self) -> bool {
        self.read_closed
    }

    /// Reads from `socket`, or returns `WouldBlock` without a system call if nothing can have arrived.
    pub(crate) fn read(&mut self, mut socket: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(ErrorKind::WouldBlock.into());
        }
        let read = retry(|| socket.read(buffer));
        match &read {
            Ok(n) if *n > 0 && *n < buffer.len() => self.readable = self.read_closed,
            Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
            _ => {}
        }
        read
    }

    /// Registers `socket` with `epoll` under `token`, which stays the same: for reading, and for writing once
    /// `writing` is set. A condition that holds already is reported too. True if it was not registered there before.
    pub(crate) fn register(
        &mut self,
        socket: impl AsFd,
        epoll: &Arc<OwnedFd>,
        token: u64,
        writing: bool,
    ) -> io::Result<bool> {
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if writing {
            flags |= EventFlags::OUT;
        }
        let data = EventData::new_u64(token);
        if let Some(now) = self.registration.as_mut().filter(|now| Arc::ptr_eq(&now.epoll, epoll)) {
            if !now.flags.contains(flags) {
                epoll::modify(epoll, socket, data, flags)?;
                now.flags = flags;
            }
            return Ok(false);
        }
        if let Some(elsewhere) = self.registration.take() {
            epoll::delete(&elsewhere.epoll, &socket)?;
        }
        epoll::add(epoll, socket, data, flags)?;
        self.registration = Some(Registration { epoll: Arc::clone(epoll), flags });
        Ok(true)
    }
}

/// Repeats `attempt` when a signal has interrupted it.
pub(crate) fn retry<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
