//! A non-blocking socket as epoll tells of it: each change is reported once, so it is remembered here.
//!
//! What is remembered spares reads that would find nothing: a read that fills only a part of its buffer
//! has emptied the socket (epoll(7), "Questions and answers", 9), unless its end had been announced.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, EventData, EventFlags};

/// What is known of one socket.
pub(crate) struct Readiness {
    /// Bytes, or the end, may be there to be read.
    readable: bool,
    /// The peer has said that nothing more will come.
    ending: bool,
    registration: Option<Registration>,
}

struct Registration {
    epoll: Arc<OwnedFd>,
    token: u64,
    flags: EventFlags,
}

impl Readiness {
    /// Of a new socket, of which nothing is known.
    pub(crate) fn new() -> Readiness {
        Readiness { readable: true, ending: false, registration: None }
    }

    /// `socket` can be read again; `ending` if its peer will say no more.
    pub(crate) fn note_readable(&mut self, ending: bool) {
        self.readable = true;
        self.ending |= ending;
    }

    /// The peer has said that nothing more will come.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Reads, or says `WouldBlock` without asking the kernel where it would say the same.
    pub(crate) fn read(&mut self, mut socket: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(ErrorKind::WouldBlock.into());
        }
        let read = retry(|| socket.read(buffer));
        match &read {
            Ok(n) if *n > 0 && *n < buffer.len() => self.readable = self.ending,
            Err(e) if e.kind() == ErrorKind::WouldBlock => self.readable = false,
            _ => {}
        }
        read
    }

    /// Has `epoll` report changes of `socket` under `token`; whether it can be written only where
    /// `writing` has been stuck. What is the case already is reported as well.
    pub(crate) fn report(
        &mut self,
        socket: impl AsFd,
        epoll: &Arc<OwnedFd>,
        token: u64,
        writing: bool,
    ) -> io::Result<()> {
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if writing {
            flags |= EventFlags::OUT;
        }
        let data = EventData::new_u64(token);
        match &self.registration {
            Some(now) if Arc::ptr_eq(&now.epoll, epoll) => {
                if now.token == token && now.flags.contains(flags) {
                    return Ok(());
                }
                epoll::modify(epoll, socket, data, flags)?;
            }
            Some(elsewhere) => {
                epoll::delete(&elsewhere.epoll, &socket)?;
                epoll::add(epoll, socket, data, flags)?;
            }
            None => epoll::add(epoll, socket, data, flags)?,
        }
        self.registration = Some(Registration { epoll: Arc::clone(epoll), token, flags });
        Ok(())
    }
}

/// Asks again when a signal came in between.
pub(crate) fn retry<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
