//! Bytes to be sent, and how many have been sent.

use std::cell::RefCell;
use std::io::{self, ErrorKind};

use super::duplex::Duplex;

/// Most messages are sent at once, so a thread reuses their memory for the next ones. An allocator that returns
/// it to the kernel in between, as musl's does, would cost two system calls for each message.
const SPARES: usize = 8;
const SPARE_BYTES: usize = 4 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty vector for a message, with the memory of an earlier one if there is any.
pub(crate) fn take_spare() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(SPARE_BYTES / 2))
}

fn recycle(mut bytes: Vec<u8>) {
    bytes.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARES && (1..=SPARE_BYTES).contains(&bytes.capacity()) {
            spare.push(bytes);
        }
    });
}

/// A message that is sent in as many pieces as the other side accepts.
#[derive(Default)]
pub(crate) struct WriteBuffer {
    bytes: Vec<u8>,
    sent: usize,
}

impl WriteBuffer {
    pub(crate) fn of(bytes: Vec<u8>) -> WriteBuffer {
        WriteBuffer { bytes, sent: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// True if a part of the message has been sent, but not all.
    pub(crate) fn has_begun(&self) -> bool {
        self.sent > 0 && !self.is_empty()
    }

    /// The vector to which more bytes are appended.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = take_spare();
        }
        &mut self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.sent = 0;
        if self.bytes.capacity() <= SPARE_BYTES {
            recycle(std::mem::take(&mut self.bytes));
        } else {
            self.bytes.clear();
        }
    }

    /// Sends `bytes` directly as far as the stream accepts them, and buffers the rest. The buffer must be empty.
    pub(crate) fn pass_through(&mut self, bytes: &[u8], stream: &mut dyn Duplex) -> io::Result<()> {
        let sent = match stream.try_write(bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        self.bytes.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Sends what the stream accepts; true if it accepted anything.
    pub(crate) fn send(&mut self, stream: &mut dyn Duplex) -> io::Result<bool> {
        let unsent = self.bytes.get(self.sent..).unwrap_or_default();
        match stream.try_write(unsent) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(n) => {
                self.sent += n;
                if self.is_empty() {
                    self.clear();
                }
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Takes the unsent bytes.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.sent);
        self.clear();
        rest
    }
}

impl Drop for WriteBuffer {
    fn drop(&mut self) {
        recycle(std::mem::take(&mut self.bytes));
    }
}
