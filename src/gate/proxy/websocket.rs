//! A WebSocket after its 101: bytes in both directions, with half-close, until both sides are done.

use std::io::{self, ErrorKind};

use super::exchange::{Downstream, Exchange, ExchangeEnd, Progress};
use crate::gate::io::duplex::Duplex;
use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::limits;
use crate::gate::limits::permits::Class;
use crate::gate::upstream::stream::UpstreamStream;

/// Both directions of a WebSocket; without a buffer while both sides accept all bytes.
pub(crate) struct Tunnel {
    exchange: Exchange,
    upstream: UpstreamStream,
    up: Direction,
    down: Direction,
}

impl Tunnel {
    /// `to_service` and `to_client` have arrived already.
    pub(crate) fn new(
        exchange: Exchange,
        upstream: UpstreamStream,
        to_service: Vec<u8>,
        to_client: Vec<u8>,
    ) -> Tunnel {
        let (up, down) = (Direction::new(to_service), Direction::new(to_client));
        Tunnel { exchange, upstream, up, down }
    }

    /// Moves what can be moved without waiting.
    pub(crate) fn advance(&mut self, downstream: &mut Downstream<'_>) -> Progress {
        let mut moved = false;
        for _ in 0..limits::STEPS_PER_TURN {
            if self.up.ended && self.down.ended {
                return Progress::Done(ExchangeEnd::Close);
            }
            match self.step(downstream) {
                Ok(true) => moved = true,
                Ok(false) => return Progress::Pending(moved),
                Err(e) => {
                    return Progress::Done(ExchangeEnd::Abort(format!(
                        "the client disconnected: {e}"
                    )));
                }
            }
        }
        Progress::Yield
    }

    /// Returns the exchange, to be logged.
    pub(crate) fn into_exchange(mut self) -> Exchange {
        self.exchange.request.record.received = self.up.bytes_moved;
        self.exchange.request.record.sent = self.down.bytes_moved;
        self.exchange
    }

    /// The class of its permit.
    pub(crate) fn class(&self) -> Class {
        self.exchange.class()
    }

    /// Bytes that have been moved in both directions.
    pub(crate) fn bytes_moved(&self) -> u64 {
        self.up.bytes_moved + self.down.bytes_moved
    }

    /// The upstream connection, and whether bytes wait for the service to accept them.
    pub(crate) fn upstream(&mut self) -> (&mut UpstreamStream, bool) {
        (&mut self.upstream, self.up.waits_to_write())
    }

    /// True if bytes wait for the client to accept them.
    pub(crate) fn waits_to_write_to_client(&self) -> bool {
        self.down.waits_to_write()
    }

    /// True if the client has disconnected before it has received everything. After it has received everything, its
    /// last bytes still go to the service.
    pub(crate) fn is_aborted(&self, hung_up: bool) -> bool {
        hung_up && !self.down.ended
    }

    /// Moves bytes once in each direction; true if anything has moved.
    fn step(&mut self, downstream: &mut Downstream<'_>) -> io::Result<bool> {
        let raw = downstream.buffers.raw();
        // A service that closes while the client still sends resets its connection. The client still gets what
        // the service has sent before, so only a lost client ends the tunnel.
        let up = match self.up.step(downstream.client, &mut self.upstream, raw) {
            Ok(moved) => moved,
            Err(Side::To(_)) => self.up.discard(),
            Err(Side::From(e)) => return Err(e),
        };
        let down = match self.down.step(&mut self.upstream, downstream.client, raw) {
            Ok(moved) => moved,
            Err(Side::From(_)) => self.down.finish(),
            Err(Side::To(e)) => return Err(e),
        };
        Ok(up | down)
    }
}

/// The side on which a direction failed.
enum Side {
    From(io::Error),
    To(io::Error),
}

struct Direction {
    buffer: WriteBuffer,
    /// TLS of the receiving side may have unsent bytes.
    unflushed: bool,
    /// The sending side has closed.
    finished: bool,
    /// The receiving side has been closed too.
    ended: bool,
    /// Bytes received so far.
    bytes_moved: u64,
}

impl Direction {
    fn new(arrived: Vec<u8>) -> Direction {
        let bytes_moved = arrived.len() as u64;
        let buffer = WriteBuffer::of(arrived);
        Direction { buffer, unflushed: false, finished: false, ended: false, bytes_moved }
    }

    fn waits_to_write(&self) -> bool {
        !self.buffer.is_empty() || self.unflushed || (self.finished && !self.ended)
    }

    /// Handles the close of the sending side.
    fn finish(&mut self) -> bool {
        self.finished = true;
        true
    }

    /// Handles a receiving side that accepts no more: nothing more is read for it.
    fn discard(&mut self) -> bool {
        self.buffer = WriteBuffer::default();
        self.unflushed = false;
        self.ended = true;
        self.finish()
    }

    /// Moves what can be moved without waiting; true if anything has moved.
    fn step(
        &mut self,
        from: &mut dyn Duplex,
        to: &mut dyn Duplex,
        raw: &mut [u8],
    ) -> Result<bool, Side> {
        let mut moved = false;
        if !self.buffer.is_empty() {
            moved = self.buffer.send(to).map_err(Side::To)?;
            self.unflushed |= moved;
        } else if !self.finished {
            match from.try_read(raw) {
                Ok(0) => moved = self.finish(),
                Ok(n) => {
                    self.buffer
                        .pass_through(raw.get(..n).unwrap_or_default(), to)
                        .map_err(Side::To)?;
                    self.bytes_moved += n as u64;
                    self.unflushed = true;
                    moved = true;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(Side::From(e)),
            }
        }
        if !self.buffer.is_empty() {
            return Ok(moved);
        }
        self.buffer = WriteBuffer::default(); // release the memory: tunnels are open for long, and most are silent
        if self.unflushed {
            match to.try_flush() {
                Ok(()) => self.unflushed = false,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(moved),
                Err(e) => return Err(Side::To(e)),
            }
        }
        // Forward the half-close: the sending side may still receive.
        if self.finished && !self.ended {
            match to.finish_writing() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(moved),
                Err(e) if e.kind() != ErrorKind::NotConnected => return Err(Side::To(e)),
                _ => self.ended = true,
            }
            moved = true;
        }
        Ok(moved)
    }
}
