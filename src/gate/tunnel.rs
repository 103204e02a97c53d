//! A WebSocket after its 101: bytes both ways, half-close included, until both sides are done.
//!
//! One thread polls both sockets, because a TLS connection is one object for both directions.

use std::io::{self, ErrorKind};
use std::time::Instant;

use rustix::event::PollFlags;

use super::client_stream::ClientStream;
use super::forward::Ending;
use super::limits;
use super::record::Record;
use super::service_stream::ServiceStream;
use super::stream::{Duplex, wait};

/// Passes bytes until both directions have ended, or nothing was said for [`limits::TUNNEL_IDLE`].
///
/// `to_service` and `to_client` are what has arrived already.
pub(crate) fn run(
    client: &mut ClientStream,
    service: &mut ServiceStream,
    to_service: Vec<u8>,
    to_client: Vec<u8>,
    record: &mut Record,
) -> Ending {
    let mut up = Direction::new(to_service);
    let mut down = Direction::new(to_client);
    let mut deadline = Instant::now() + limits::TUNNEL_IDLE;
    let ending = loop {
        if up.ended && down.ended {
            break Ending::Close;
        }
        // A service that hangs up while the client still talks resets its connection. What it said
        // before is for the client all the same, so only a lost client breaks the tunnel.
        let up_moved = match up.step(client, service) {
            Ok(moved) => moved,
            Err(Broken::To(_)) => up.give_up(),
            Err(Broken::From(e)) => break Ending::Cut(format!("the client went away: {e}")),
        };
        let down_moved = match down.step(service, client) {
            Ok(moved) => moved,
            Err(Broken::From(_)) => down.finish(),
            Err(Broken::To(e)) => break Ending::Cut(format!("the client went away: {e}")),
        };
        if up_moved || down_moved {
            deadline = Instant::now() + limits::TUNNEL_IDLE;
            continue;
        }
        let interests = [
            (client.descriptor(), up.reads() | down.writes()),
            (service.descriptor(), down.reads() | up.writes()),
        ];
        match wait(interests, deadline) {
            Ok(Some([from_client, from_service])) => {
                let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
                if from_client.intersects(readable) {
                    client.note_readable(false);
                }
                if from_service.intersects(readable) {
                    service.note_readable(false);
                }
            }
            Ok(None) => break Ending::Cut("the tunnel was silent for too long".to_owned()),
            Err(e) => break Ending::Cut(format!("the tunnel broke: {e}")),
        }
    };
    (record.received, record.sent) = (up.passed, down.passed);
    ending
}

/// The side that failed a direction.
enum Broken {
    From(io::Error),
    To(io::Error),
}

struct Direction {
    bytes: Vec<u8>,
    sent: usize,
    length: usize,
    /// The side that is read has nothing more to say.
    finished: bool,
    /// And the other side has been told.
    ended: bool,
    /// Bytes may wait inside the writing side's TLS.
    unflushed: bool,
    /// Bytes handed on so far.
    passed: u64,
}

impl Direction {
    fn new(bytes: Vec<u8>) -> Direction {
        let length = bytes.len();
        Direction {
            bytes,
            sent: 0,
            length,
            finished: false,
            ended: false,
            unflushed: false,
            passed: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.sent == self.length
    }

    fn reads(&self) -> PollFlags {
        if self.is_empty() && !self.finished { PollFlags::IN } else { PollFlags::empty() }
    }

    fn writes(&self) -> PollFlags {
        let waiting = !self.is_empty() || self.unflushed || (self.finished && !self.ended);
        if waiting { PollFlags::OUT } else { PollFlags::empty() }
    }

    /// Nothing more comes from the side that is read.
    fn finish(&mut self) -> bool {
        self.finished = true;
        true
    }

    /// The side that is written takes no more, so what would go there is not read either.
    fn give_up(&mut self) -> bool {
        self.sent = self.length;
        self.unflushed = false;
        self.ended = true;
        self.finish()
    }

    /// Moves what can be moved without waiting; true if anything did.
    fn step(&mut self, from: &mut dyn Duplex, to: &mut dyn Duplex) -> Result<bool, Broken> {
        let mut moved = false;
        if self.is_empty() && !self.finished {
            self.bytes.resize(limits::TUNNEL_BYTES, 0);
            match from.try_read(&mut self.bytes) {
                Ok(0) => moved = self.finish(),
                Ok(n) => {
                    (self.sent, self.length) = (0, n);
                    moved = true;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(Broken::From(e)),
            }
        }
        if !self.is_empty() {
            match to.try_write(self.bytes.get(self.sent..self.length).unwrap_or_default()) {
                Ok(0) => return Err(Broken::To(ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.sent += n;
                    self.passed += n as u64;
                    self.unflushed = true;
                    moved = true;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(Broken::To(e)),
            }
        }
        if self.unflushed && self.is_empty() {
            match to.try_flush() {
                Ok(()) => self.unflushed = false,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(Broken::To(e)),
            }
        }
        // Half-close is information: one side may be done talking and still listen.
        if self.finished && !self.ended && self.is_empty() && !self.unflushed {
            match to.finish_writing() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == ErrorKind::NotConnected => self.ended = true,
                Err(e) => return Err(Broken::To(e)),
                Ok(()) => {
                    self.ended = true;
                    moved = true;
                }
            }
        }
        Ok(moved)
    }
}
