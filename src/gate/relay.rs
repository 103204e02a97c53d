//! Both directions of one exchange, streamed through bounded buffers.
//!
//! One thread serves both, so an answer that comes while the upload still runs reaches the client, and
//! neither side can make the other wait for ever.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::download::{Asked, Download, Taken};
use super::forward::{Buffers, Ending, Exchange};
use super::limits;
use super::stream::{Duplex, ServiceStream, wait};
use super::tunnel;
use super::upload::Upload;

/// The state of an exchange.
pub(super) struct Relay<'a, 'b> {
    exchange: &'a mut Exchange<'b>,
    service: ServiceStream,
    upload: Upload,
    download: Download,
    /// What the last poll said; cleared when a read would block.
    client_readable: bool,
    service_readable: bool,
}

/// Why a relay stops.
enum Stop {
    /// Both sides have agreed on a WebSocket.
    Tunnel,
    End(Ending),
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Stop {
        Stop::End(ending)
    }
}

impl<'a, 'b> Relay<'a, 'b> {
    /// `head` is the request head as the service gets it.
    pub(super) fn new(
        exchange: &'a mut Exchange<'b>,
        service: ServiceStream,
        head: &[u8],
    ) -> Relay<'a, 'b> {
        Relay {
            service,
            upload: Upload::new(head, exchange.length),
            download: Download::new(exchange.close),
            client_readable: true,
            service_readable: false,
            exchange,
        }
    }

    /// Relays until the answer is out, or until it can't be.
    pub(super) fn run(mut self) -> Ending {
        if let Err(ending) = self.take_arrived() {
            return ending;
        }
        let mut deadline = Instant::now() + self.patience();
        loop {
            match self.step() {
                Ok(true) if !self.download.wants_more() && !self.download.is_waiting() => {
                    return self.finish();
                }
                Ok(true) => deadline = Instant::now() + self.patience(),
                Ok(false) => match self.wait(deadline) {
                    Ok(true) => {}
                    Ok(false) => return self.out_of_patience(),
                    Err(e) => return Ending::Cut(format!("the client went away: {e}")),
                },
                Err(Stop::Tunnel) => return self.into_tunnel(),
                Err(Stop::End(ending)) => return ending,
            }
        }
    }

    /// Moves what can be moved without waiting; true if anything did.
    fn step(&mut self) -> Result<bool, Stop> {
        let mut moved = false;
        if self.download.is_waiting() {
            moved |= self.download.send(self.exchange.client).map_err(|e| client_gone(&e))?;
        } else if self.service_readable && self.download.wants_more() {
            moved |= self.read_service()?;
        }
        if self.upload.is_waiting() {
            moved |= self.upload.send(&mut self.service);
        } else if self.client_readable && self.upload.wants_more() {
            moved |= self.read_client()?;
        }
        Ok(moved)
    }

    /// The bytes that came with the head; what is not body stays for the next request.
    fn take_arrived(&mut self) -> Result<(), Ending> {
        if self.upload.is_complete() || self.exchange.arrived.is_empty() {
            return Ok(());
        }
        let arrived = self.exchange.arrived.take_rest();
        self.take_upload(&arrived)
    }

    fn read_client(&mut self) -> Result<bool, Stop> {
        let mut raw = std::mem::take(&mut self.exchange.buffers.raw);
        raw.resize(limits::RELAY_BYTES, 0);
        let moved = match self.exchange.client.try_read(&mut raw) {
            Ok(0) => Err(client_gone(&ErrorKind::UnexpectedEof.into())),
            Ok(n) => self.take_upload(raw.get(..n).unwrap_or_default()).map(|()| true),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.client_readable = false;
                Ok(false)
            }
            Err(e) => Err(client_gone(&e)),
        };
        self.exchange.buffers.raw = raw;
        Ok(moved?)
    }

    fn take_upload(&mut self, arrived: &[u8]) -> Result<(), Ending> {
        let taken = self.upload.take(arrived, &mut self.exchange.buffers.content);
        let taken = taken.map_err(|reason| {
            if self.download.has_begun() {
                Ending::Cut(reason.to_owned())
            } else {
                Ending::Failed(400, reason.to_owned())
            }
        })?;
        self.exchange.record.received += self.exchange.buffers.content.len() as u64;
        self.exchange.arrived.extend(arrived.get(taken..).unwrap_or_default());
        Ok(())
    }

    fn read_service(&mut self) -> Result<bool, Stop> {
        let mut raw = std::mem::take(&mut self.exchange.buffers.raw);
        raw.resize(limits::RELAY_BYTES, 0);
        let moved = match self.service.try_read(&mut raw) {
            Ok(0) => self.service_ended("it hung up").map_err(Stop::from),
            Ok(n) => self.take_download(raw.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.service_readable = false;
                Ok(false)
            }
            Err(e) => Err(self.service_failed(&e.to_string()).into()),
        };
        self.exchange.buffers.raw = raw;
        moved
    }

    fn take_download(&mut self, arrived: &[u8]) -> Result<bool, Stop> {
        let asked = Asked {
            head: self.exchange.head,
            websocket: self.exchange.websocket,
            complete: self.upload.is_complete(),
        };
        match self.download.take(arrived, asked, &mut self.exchange.buffers.content) {
            Ok(Taken::Interim) => Ok(true),
            Ok(Taken::Answer(status)) => {
                self.exchange.record.status = status;
                self.exchange.record.sent += self.exchange.buffers.content.len() as u64;
                Ok(true)
            }
            Ok(Taken::Switched) => {
                self.exchange.record.status = 101;
                Err(Stop::Tunnel)
            }
            Err(reason) => Err(self.service_failed(reason).into()),
        }
    }

    fn service_ended(&mut self, why: &str) -> Result<bool, Ending> {
        if self.download.end_of_connection() { Ok(true) } else { Err(self.service_failed(why)) }
    }

    fn service_failed(&self, why: &str) -> Ending {
        let name = &self.exchange.route.service.name;
        if self.download.has_begun() {
            Ending::Cut(format!("{name} broke off its answer: {why}"))
        } else {
            Ending::Failed(502, format!("{name} did not answer: {why}"))
        }
    }

    /// Waits for whatever the next step needs; false when `deadline` has passed.
    fn wait(&mut self, deadline: Instant) -> io::Result<bool> {
        // The client is always asked for something (urgent data, which it never sends), so that the
        // kernel tells when it has hung up altogether.
        let (mut client, mut service) = (PollFlags::PRI, PollFlags::empty());
        if self.download.is_waiting() {
            client |= PollFlags::OUT;
        } else if self.download.wants_more() {
            service |= PollFlags::IN;
        }
        if self.upload.is_waiting() {
            service |= PollFlags::OUT;
        } else if self.upload.wants_more() {
            client |= PollFlags::IN;
        }
        let interests =
            [(self.exchange.client.descriptor(), client), (self.service.descriptor(), service)];
        let Some([client, service]) = wait(interests, deadline)? else { return Ok(false) };
        let ended = PollFlags::ERR | PollFlags::HUP;
        if client.intersects(ended) && !client.intersects(PollFlags::IN | PollFlags::OUT) {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        self.client_readable |= client.intersects(PollFlags::IN);
        self.service_readable |= service.intersects(PollFlags::IN | ended);
        Ok(true)
    }

    fn waits_for_client(&self) -> bool {
        !self.upload.is_waiting() && self.upload.wants_more()
    }

    /// How long nothing may move, by whose turn it is.
    fn patience(&self) -> Duration {
        if self.download.is_waiting() || self.waits_for_client() {
            limits::BODY_PROGRESS
        } else {
            self.exchange.route.service.patience
        }
    }

    fn out_of_patience(self) -> Ending {
        let name = &self.exchange.route.service.name;
        if self.download.has_begun() {
            Ending::Cut("nothing moved for too long".to_owned())
        } else if self.waits_for_client() {
            Ending::Failed(408, "the request body stopped coming".to_owned())
        } else {
            Ending::Failed(504, format!("{name} does not answer in time"))
        }
    }

    fn finish(self) -> Ending {
        let delivered = self.upload.is_delivered();
        if self.download.reusable && delivered {
            self.exchange.route.service.keep(self.service);
        }
        if self.download.close || !delivered { Ending::Close } else { Ending::KeepAlive }
    }

    fn into_tunnel(mut self) -> Ending {
        let to_client = self.download.into_tunnel();
        let to_service = self.exchange.arrived.take_rest();
        // A tunnel lives long and has buffers of its own.
        *self.exchange.buffers = Buffers::default();
        let record = &mut *self.exchange.record;
        tunnel::run(self.exchange.client, &mut self.service, to_service, to_client, record)
    }
}

fn client_gone(error: &io::Error) -> Ending {
    Ending::Cut(format!("the client went away: {error}"))
}
