//! Bytes on their way out, and how far they got.

use std::io::{self, ErrorKind};

use super::stream::Duplex;

/// Filled whole, sent in as many pieces as the other side takes.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    pub(super) fn of(bytes: Vec<u8>) -> Outbox {
        Outbox { bytes, sent: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Where more is appended.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.sent = 0;
    }

    /// Hands `bytes` on at once as far as the stream takes them, and keeps the rest. Only while empty.
    pub(super) fn pass(&mut self, bytes: &[u8], stream: &mut dyn Duplex) -> io::Result<()> {
        let sent = match stream.try_write(bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        self.bytes.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Hands on what the stream takes; true if something moved.
    pub(super) fn send(&mut self, stream: &mut dyn Duplex) -> io::Result<bool> {
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
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.sent);
        self.clear();
        rest
    }
}
