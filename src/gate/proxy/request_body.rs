//! The request as it is sent to the service.

use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::upstream::stream::UpstreamStream;
use crate::http::Error;
use crate::http::body::{Decoder, Encoder, Length, Sender};

/// The head and body of a request; the body changes from the client's framing to the service's.
pub(crate) struct RequestBody {
    buffer: WriteBuffer,
    body: Decoder,
    encoder: Encoder,
    /// The service accepts no more; its response may still come.
    closed: bool,
}

impl RequestBody {
    pub(crate) fn new(head: Vec<u8>, length: Length) -> RequestBody {
        let buffer = WriteBuffer::of(head);
        let encoder = if length == Length::Chunked { Encoder::Chunked } else { Encoder::Bare };
        let body = Decoder::new(Sender::Client, length);
        RequestBody { buffer, body, encoder, closed: false }
    }

    /// True if the client must send more.
    pub(crate) fn wants_more(&self) -> bool {
        !self.closed && !self.body.is_complete()
    }

    /// True if bytes wait for the service to accept them.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// True if the client has sent all of it.
    pub(crate) fn is_complete(&self) -> bool {
        self.body.is_complete()
    }

    /// True if the service has received all of it.
    pub(crate) fn is_delivered(&self) -> bool {
        self.body.is_complete() && self.buffer.is_empty() && !self.closed
    }

    /// Takes body bytes from the client and returns how many of `arrived` belong to the body.
    ///
    /// # Errors
    /// When the chunked framing is malformed.
    pub(crate) fn take(&mut self, arrived: &[u8], content: &mut Vec<u8>) -> Result<usize, Error> {
        content.clear();
        let taken = self.body.decode(arrived, content)?;
        self.encoder.encode(content, self.buffer.end());
        if self.body.is_complete() {
            self.encoder.end(&self.body.trailers, self.buffer.end());
        }
        Ok(taken)
    }

    /// Sends body bytes directly to the service and returns how many of `arrived` belong to the body; `None` if the
    /// body has framing.
    pub(crate) fn pass_through(
        &mut self,
        arrived: &[u8],
        upstream: &mut UpstreamStream,
    ) -> Option<usize> {
        if self.encoder != Encoder::Bare || !self.buffer.is_empty() {
            return None;
        }
        let taken = self.body.pass_through(arrived)?;
        if self.buffer.pass_through(arrived.get(..taken).unwrap_or_default(), upstream).is_err() {
            self.closed = true;
        }
        Some(taken)
    }

    /// Sends what the service accepts; true if anything has moved. A service that closes here may have responded
    /// before, so that is not a failure yet.
    pub(crate) fn send(&mut self, upstream: &mut UpstreamStream) -> bool {
        self.buffer.send(upstream).unwrap_or_else(|_| {
            self.closed = true;
            self.buffer.clear();
            true
        })
    }
}
