//! Bytes on their way out, and how far they got.

use std::cell::RefCell;
use std::io::{self, ErrorKind};

use super::duplex::Duplex;

/// Messages follow one another, and most are out at once: their memory goes from one to the next. An
/// allocator that gave it back to the kernel in between, as musl's does, would cost two system calls each.
const SPARES: usize = 8;
const SPARE_BYTES: usize = 4 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Where a message is written, in memory that an earlier one has left.
pub(crate) fn memory() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(SPARE_BYTES / 2))
}

fn leave(mut bytes: Vec<u8>) {
    bytes.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARES && (1..=SPARE_BYTES).contains(&bytes.capacity()) {
            spare.push(bytes);
        }
    });
}

/// Filled whole, sent in as many pieces as the other side takes.
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

    /// Some of what it holds has been sent, and not all.
    pub(crate) fn has_begun(&self) -> bool {
        self.sent > 0 && !self.is_empty()
    }

    /// Bytes that have not been sent.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Where more is appended.
    pub(crate) fn end(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = memory();
        }
        &mut self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.sent = 0;
        if self.bytes.capacity() <= SPARE_BYTES {
            leave(std::mem::take(&mut self.bytes));
        } else {
            self.bytes.clear();
        }
    }

    /// Hands `bytes` on at once as far as the stream takes them, and keeps the rest. Only while empty.
    pub(crate) fn pass(&mut self, bytes: &[u8], stream: &mut dyn Duplex) -> io::Result<()> {
        let sent = match stream.try_write(bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        self.bytes.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Hands on what the stream takes; true if something moved.
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

    /// What has not been sent.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.sent);
        self.clear();
        rest
    }
}

impl Drop for WriteBuffer {
    fn drop(&mut self) {
        leave(std::mem::take(&mut self.bytes));
    }
}
