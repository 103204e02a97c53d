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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{self, ErrorKind, IoSlice};
    use std::os::fd::BorrowedFd;

    use super::WriteBuffer;
    use crate::gate::io::duplex::Duplex;

    /// Accepts so many bytes each time, and nothing when it is asked for the next.
    struct Slow {
        each: usize,
        is_full: bool,
        accepted: Vec<u8>,
    }

    impl Duplex for Slow {
        fn try_read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            unreachable!("nobody reads")
        }

        fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            self.is_full = !self.is_full;
            if !self.is_full {
                return Err(ErrorKind::WouldBlock.into());
            }
            let before = self.accepted.len();
            let bytes = pieces.iter().flat_map(|piece| piece.iter());
            self.accepted.extend(bytes.take(self.each));
            Ok(self.accepted.len() - before)
        }

        fn try_flush(&mut self) -> io::Result<()> {
            unreachable!("nobody flushes")
        }

        fn finish_writing(&mut self) -> io::Result<()> {
            unreachable!("nobody closes")
        }

        fn set_readable(&mut self, _: bool) {}

        fn descriptor(&self) -> BorrowedFd<'_> {
            unreachable!("nobody waits")
        }
    }

    #[test]
    fn what_is_passed_through_follows_what_is_buffered_however_little_the_stream_accepts() {
        let head = b"head ".to_vec();
        for body in [&b"body"[..], &[b'b'; 5_000]] {
            for each in 1..12 {
                for is_full in [false, true] {
                    let mut stream = Slow { each, is_full, accepted: Vec::new() };
                    let mut buffer = WriteBuffer::of(head.clone());
                    assert_eq!(buffer.pass_through(body, &mut stream).unwrap(), !is_full);
                    while !buffer.is_empty() {
                        buffer.send(&mut stream).unwrap();
                    }
                    assert_eq!(stream.accepted, [&head, body].concat());
                }
            }
        }
    }
}
