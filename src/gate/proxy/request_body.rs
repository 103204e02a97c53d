//! The request on its way to the service.

use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::upstream::stream::ServiceStream;
use crate::http::body::{Decoder, Encoder, Length, Sender};
use crate::http::fields::Fields;

/// Head and body, taken from the client's framing and put into the service's.
pub(crate) struct Upload {
    outbox: WriteBuffer,
    body: Decoder,
    encoder: Encoder,
    /// The service has no use for trailers.
    own: bool,
    /// The service has had some of it…
    begun: bool,
    /// …and takes no more; its answer may still come.
    deaf: bool,
}

impl Upload {
    /// `own` is for ourselves: tiny_http takes trailers for more of the body, or for the next request.
    pub(crate) fn new(head: Vec<u8>, length: Length, own: bool) -> Upload {
        let outbox = WriteBuffer::of(head);
        let encoder = if length == Length::Chunked { Encoder::Chunked } else { Encoder::Bare };
        let body = Decoder::new(Sender::Client, length);
        Upload { outbox, body, encoder, own, begun: false, deaf: false }
    }

    /// The client owes more of it.
    pub(crate) fn wants_more(&self) -> bool {
        !self.deaf && !self.body.is_complete()
    }

    /// Bytes wait for the service to take them.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// How many.
    pub(crate) fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Some of it has gone to the service.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// All of it has come from the client.
    pub(crate) fn is_complete(&self) -> bool {
        self.body.is_complete()
    }

    /// All of it has gone to the service.
    pub(crate) fn is_delivered(&self) -> bool {
        self.body.is_complete() && self.outbox.is_empty() && !self.deaf
    }

    /// Takes body bytes from the client and says how many of `arrived` were body.
    ///
    /// # Errors
    /// What is wrong with the client's chunks.
    pub(crate) fn take(
        &mut self,
        arrived: &[u8],
        content: &mut Vec<u8>,
    ) -> Result<usize, &'static str> {
        content.clear();
        let taken = self.body.decode(arrived, content)?;
        self.encoder.encode(content, self.outbox.end());
        if self.body.is_complete() {
            if self.own {
                self.body.trailers = Fields::default();
            }
            self.encoder.end(&self.body.trailers, self.outbox.end());
        }
        Ok(taken)
    }

    /// Hands body bytes straight on, where neither side frames them, and says how many of `arrived`
    /// those are; `None` where that is not so.
    pub(crate) fn pass(&mut self, arrived: &[u8], service: &mut ServiceStream) -> Option<usize> {
        if self.encoder != Encoder::Bare || !self.outbox.is_empty() {
            return None;
        }
        let taken = self.body.pass(arrived)?;
        if self.outbox.pass(arrived.get(..taken).unwrap_or_default(), service).is_err() {
            self.deaf = true;
        }
        Some(taken)
    }

    /// Sends what the service takes; true if something moved. A service that hangs up here may have
    /// answered before: that is no failure yet.
    pub(crate) fn send(&mut self, service: &mut ServiceStream) -> bool {
        self.begun = true;
        self.outbox.send(service).unwrap_or_else(|_| {
            self.deaf = true;
            self.outbox.clear();
            true
        })
    }
}
