//! The request on its way to the service.

use super::framing::{Decoder, Encoder, Length};
use super::outbox::Outbox;
use super::service_stream::ServiceStream;

/// Head and body, taken from the client's framing and put into the service's.
pub(super) struct Upload {
    outbox: Outbox,
    body: Decoder,
    encoder: Encoder,
    /// The service takes no more; its answer may still come.
    deaf: bool,
}

impl Upload {
    pub(super) fn new(head: &[u8], length: Length) -> Upload {
        let mut outbox = Outbox::default();
        outbox.end().extend_from_slice(head);
        let encoder = if length == Length::Chunked { Encoder::Chunked } else { Encoder::Bare };
        Upload { outbox, body: Decoder::new(length), encoder, deaf: false }
    }

    /// The client owes more of it.
    pub(super) fn wants_more(&self) -> bool {
        !self.deaf && !self.body.is_complete()
    }

    /// Bytes wait for the service to take them.
    pub(super) fn is_waiting(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// All of it has come from the client.
    pub(super) fn is_complete(&self) -> bool {
        self.body.is_complete()
    }

    /// All of it has gone to the service.
    pub(super) fn is_delivered(&self) -> bool {
        self.body.is_complete() && self.outbox.is_empty() && !self.deaf
    }

    /// Takes body bytes from the client and says how many of `arrived` were body.
    ///
    /// # Errors
    /// What is wrong with the client's chunks.
    pub(super) fn take(
        &mut self,
        arrived: &[u8],
        content: &mut Vec<u8>,
    ) -> Result<usize, &'static str> {
        content.clear();
        let taken = self.body.decode(arrived, content)?;
        self.encoder.encode(content, self.outbox.end());
        if self.body.is_complete() {
            self.encoder.end(&self.body.trailers, self.outbox.end());
        }
        Ok(taken)
    }

    /// Sends what the service takes; true if something moved. A service that hangs up here may have
    /// answered before: that is no failure yet.
    pub(super) fn send(&mut self, service: &mut ServiceStream) -> bool {
        self.outbox.send(service).unwrap_or_else(|_| {
            self.deaf = true;
            self.outbox.clear();
            true
        })
    }
}
