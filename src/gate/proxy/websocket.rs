//! A WebSocket after its 101: bytes both ways, half-close included, until both sides are done.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::exchange::{Downstream, Exchange, ExchangeEnd};
use super::http::Progress;
use crate::gate::io::duplex::Duplex;
use crate::gate::io::write_buffer::WriteBuffer;
use crate::gate::limits;
use crate::gate::limits::permits::Kind;
use crate::gate::upstream::stream::ServiceStream;

/// Both directions; without a buffer while nobody is slow.
pub(crate) struct Tunnel {
    exchange: Box<Exchange>,
    service: ServiceStream,
    up: Direction,
    down: Direction,
}

impl Tunnel {
    /// `to_service` and `to_client` are what has arrived already.
    pub(crate) fn new(
        exchange: Box<Exchange>,
        service: ServiceStream,
        to_service: Vec<u8>,
        to_client: Vec<u8>,
    ) -> Tunnel {
        let (up, down) = (Direction::new(to_service), Direction::new(to_client));
        Tunnel { exchange, service, up, down }
    }

    /// Passes what can be passed without waiting.
    pub(crate) fn advance(&mut self, side: &mut Downstream<'_>) -> Progress {
        let mut moved = false;
        for _ in 0..limits::RELAY_STEPS {
            if self.up.ended && self.down.ended {
                return Progress::Ended(ExchangeEnd::Close);
            }
            match self.step(side) {
                Ok(true) => moved = true,
                Ok(false) => return Progress::Waits(moved),
                Err(e) => {
                    return Progress::Ended(ExchangeEnd::Cut(format!("the client went away: {e}")));
                }
            }
        }
        Progress::Pauses
    }

    /// The exchange, to be put on record.
    pub(crate) fn into_exchange(mut self) -> Box<Exchange> {
        self.exchange.record.received = self.up.passed;
        self.exchange.record.sent = self.down.passed;
        self.exchange
    }

    /// Of the place it holds.
    pub(crate) fn kind(&self) -> Kind {
        self.exchange.kind()
    }

    /// Bytes that have been moved.
    pub(crate) fn passed(&self) -> u64 {
        self.up.passed + self.down.passed
    }

    /// Has `epoll` tell of the service under `token`.
    pub(crate) fn report_service(&mut self, epoll: &Arc<OwnedFd>, token: u64) -> io::Result<()> {
        self.service.report(epoll, token, self.up.waits_to_write())
    }

    /// The service can be read; `ending` if it will say no more.
    pub(crate) fn note_service(&mut self, ending: bool) {
        self.service.note_readable(ending);
    }

    /// Something waits for the client to take it.
    pub(crate) fn waits_to_write_to_client(&self) -> bool {
        self.down.waits_to_write()
    }

    /// Its client has hung up and can't be told any more, though there is more to tell. One that has
    /// been told all may have said something before that is for the service.
    pub(crate) fn is_cut_off(&self, gone: bool) -> bool {
        gone && !self.down.ended
    }

    /// Moves once in each direction; true if anything did.
    fn step(&mut self, side: &mut Downstream<'_>) -> io::Result<bool> {
        let raw = side.buffers.raw();
        // A service that hangs up while the client still talks resets its connection. What it said
        // before is for the client all the same, so only a lost client breaks the tunnel.
        let up = match self.up.step(side.client, &mut self.service, raw) {
            Ok(moved) => moved,
            Err(Broken::To(_)) => self.up.give_up(),
            Err(Broken::From(e)) => return Err(e),
        };
        let down = match self.down.step(&mut self.service, side.client, raw) {
            Ok(moved) => moved,
            Err(Broken::From(_)) => self.down.finish(),
            Err(Broken::To(e)) => return Err(e),
        };
        Ok(up | down)
    }
}

/// The side that failed a direction.
enum Broken {
    From(io::Error),
    To(io::Error),
}

struct Direction {
    outbox: WriteBuffer,
    /// Bytes may wait inside the writing side's TLS.
    unflushed: bool,
    /// The side that is read has nothing more to say.
    finished: bool,
    /// And the other side has been told.
    ended: bool,
    /// Bytes taken so far.
    passed: u64,
}

impl Direction {
    fn new(arrived: Vec<u8>) -> Direction {
        let passed = arrived.len() as u64;
        let outbox = WriteBuffer::of(arrived);
        Direction { outbox, unflushed: false, finished: false, ended: false, passed }
    }

    fn waits_to_write(&self) -> bool {
        !self.outbox.is_empty() || self.unflushed || (self.finished && !self.ended)
    }

    /// Nothing more comes from the side that is read.
    fn finish(&mut self) -> bool {
        self.finished = true;
        true
    }

    /// The side that is written takes no more, so what would go there is not read either.
    fn give_up(&mut self) -> bool {
        self.outbox = WriteBuffer::default();
        self.unflushed = false;
        self.ended = true;
        self.finish()
    }

    /// Moves what can be moved without waiting; true if anything did.
    fn step(
        &mut self,
        from: &mut dyn Duplex,
        to: &mut dyn Duplex,
        raw: &mut [u8],
    ) -> Result<bool, Broken> {
        let mut moved = false;
        if !self.outbox.is_empty() {
            moved = self.outbox.send(to).map_err(Broken::To)?;
            self.unflushed |= moved;
        } else if !self.finished {
            match from.try_read(raw) {
                Ok(0) => moved = self.finish(),
                Ok(n) => {
                    self.outbox.pass(raw.get(..n).unwrap_or_default(), to).map_err(Broken::To)?;
                    self.passed += n as u64;
                    self.unflushed = true;
                    moved = true;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(Broken::From(e)),
            }
        }
        if !self.outbox.is_empty() {
            return Ok(moved);
        }
        self.outbox = WriteBuffer::default(); // a tunnel lives long, and most of them are silent
        if self.unflushed {
            match to.try_flush() {
                Ok(()) => self.unflushed = false,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(moved),
                Err(e) => return Err(Broken::To(e)),
            }
        }
        // Half-close is information: one side may be done talking and still listen.
        if self.finished && !self.ended {
            match to.finish_writing() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(moved),
                Err(e) if e.kind() != ErrorKind::NotConnected => return Err(Broken::To(e)),
                _ => self.ended = true,
            }
            moved = true;
        }
        Ok(moved)
    }
}
