//! Bytes to be sent, and how many have been sent.

use std::io::{self, ErrorKind, IoSlice};

use super::duplex::Duplex;
use crate::util::spares::{BYTES, Spares};

/// Bytes of a new buffer: of most heads, together with a small body.
const MESSAGE: usize = 2 << 10;

/// An empty vector for a message.
pub(crate) fn take_spare() -> Vec<u8> {
    let mut bytes = BYTES.with(Spares::take);
    bytes.reserve(MESSAGE);
    bytes
}

fn recycle(bytes: Vec<u8>) {
    BYTES.with(|spares| spares.recycle(bytes));
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
        if Spares::fits(&self.bytes) {
            recycle(std::mem::take(&mut self.bytes));
        } else {
            self.bytes.clear();
        }
    }

    /// Sends what is buffered, and after it `bytes`, as far as the stream accepts them; the rest is buffered. True if
    /// it accepted anything.
    pub(crate) fn pass_through(
        &mut self,
        bytes: &[u8],
        stream: &mut dyn Duplex,
    ) -> io::Result<bool> {
        let buffered = self.bytes.get(self.sent..).unwrap_or_default();
        if !buffered.is_empty() && bytes.len() <= self.bytes.capacity() - self.bytes.len() {
            self.bytes.extend_from_slice(bytes); // cheaper than to send two pieces, if there is room
            return self.send(stream);
        }
        let written = if buffered.is_empty() {
            stream.try_write(bytes)
        } else {
            stream.try_write_vectored(&[IoSlice::new(buffered), IoSlice::new(bytes)])
        };
        let written = match written {
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            written => written?,
        };
        let of_buffered = written.min(buffered.len());
        self.sent += of_buffered;
        if self.is_empty() {
            self.clear();
        }
        self.bytes.extend_from_slice(bytes.get(written - of_buffered..).unwrap_or_default());
        Ok(written > 0)
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
