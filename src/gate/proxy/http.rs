//! Both directions of one exchange, streamed through bounded buffers.
//!
//! Whoever has the connection moves both, so an answer that comes while the upload still runs reaches
//! the client, and neither side can make the other wait for ever. Nothing here waits.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::{Downstream, Exchange, ExchangeEnd};
use super::request_body::Upload;
use super::response_body::{Asked, Download, Taken};
use super::websocket::Tunnel;
use crate::gate::connection::SlowClient;
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits;
use crate::gate::limits::permits::Kind;
use crate::gate::upstream::stream::ServiceStream;

/// An exchange and how far it is.
pub(crate) struct Relay {
    exchange: Box<Exchange>,
    service: ServiceStream,
    /// The connection to the service has served others before.
    reused: bool,
    /// It can serve others afterwards.
    reusable: bool,
    upload: Upload,
    download: Download,
    /// How often something has moved, and no more was there to move.
    pieces: u64,
    /// The service has said something, an answer or that the client may go on.
    heard: bool,
}

/// What came of moving what could be moved.
#[must_use]
pub(crate) enum Progress {
    /// Nothing more moves before one of the sides does; true if something did.
    Waits(bool),
    /// There is more, and others have waited long enough.
    Pauses,
    /// Both sides have agreed on a WebSocket.
    Tunnel,
    Ended(ExchangeEnd),
}

/// Why a relay stops.
enum Stop {
    Tunnel,
    End(ExchangeEnd),
}

impl From<ExchangeEnd> for Stop {
    fn from(ending: ExchangeEnd) -> Stop {
        Stop::End(ending)
    }
}

impl Relay {
    pub(crate) fn new(exchange: Box<Exchange>, service: ServiceStream, reused: bool) -> Relay {
        Relay {
            upload: Upload::new(
                exchange.request_head(),
                exchange.length,
                exchange.route.area.is_own(),
            ),
            download: Download::new(exchange.close),
            exchange,
            service,
            reused,
            reusable: false,
            pieces: 0,
            heard: false,
        }
    }

    /// Moves what can be moved without waiting.
    pub(crate) fn advance(&mut self, side: &mut Downstream<'_>) -> Progress {
        if let Err(ending) = self.take_arrived(side).and_then(|()| self.notice_end(side)) {
            return Progress::Ended(ending);
        }
        let mut moved = false;
        for _ in 0..limits::RELAY_STEPS {
            match self.step(side) {
                Ok(true) if !self.download.wants_more() && !self.download.is_waiting() => {
                    return Progress::Ended(self.finish());
                }
                Ok(true) => moved = true,
                Ok(false) => {
                    self.pieces += u64::from(moved);
                    return Progress::Waits(moved);
                }
                Err(Stop::Tunnel) => return Progress::Tunnel,
                Err(Stop::End(ending)) => return Progress::Ended(ending),
            }
        }
        Progress::Pauses
    }

    /// The exchange, to be tried once more with a fresh connection or to be put on record. The
    /// connection to the service is kept, if it can be.
    pub(crate) fn into_exchange(self) -> Box<Exchange> {
        if self.reusable {
            self.exchange.route.service.keep(self.service);
        }
        self.exchange
    }

    /// Both sides have agreed on a WebSocket; `arrived` is what the client has said behind its head.
    pub(crate) fn into_tunnel(mut self, arrived: Vec<u8>) -> Tunnel {
        let to_client = self.download.take_unsent();
        Tunnel::new(self.exchange, self.service, arrived, to_client)
    }

    /// Bytes of bodies that have been moved.
    pub(crate) fn passed(&self) -> u64 {
        self.exchange.record.received + self.exchange.record.sent
    }

    /// True if `ending` may be the fault of a connection that was kept too long.
    pub(crate) fn deserves_another(&self, ending: &ExchangeEnd) -> bool {
        self.reused && !self.download.has_head() && matches!(ending, ExchangeEnd::Failed(502, _))
    }

    /// Has `epoll` tell of the service under `token`.
    pub(crate) fn report_service(&mut self, epoll: &Arc<OwnedFd>, token: u64) -> io::Result<()> {
        self.service.report(epoll, token, self.upload.is_waiting() && !self.gathers())
    }

    /// The service can be read; `ending` if it will say no more.
    pub(crate) fn note_service(&mut self, ending: bool) {
        self.service.note_readable(ending);
    }

    /// Bytes wait for the client to take them.
    pub(crate) fn waits_to_write_to_client(&self) -> bool {
        self.download.is_waiting()
    }

    /// Moves once in each direction; true if anything did.
    fn step(&mut self, side: &mut Downstream<'_>) -> Result<bool, Stop> {
        let mut moved = false;
        if self.download.is_waiting() {
            moved |= self.download.send(side.client).map_err(|e| client_gone(&e))?;
        } else if self.download.wants_more() {
            moved |= self.read_service(side)?;
        }
        if self.upload.is_waiting() && !self.gathers() {
            moved |= self.upload.send(&mut self.service);
        } else if self.upload.wants_more() {
            moved |= self.read_client(side)?;
        }
        Ok(moved)
    }

    /// A TLS client may end without having said so: it has gone (RFC 8446 section 6.1), whatever else it has
    /// asked for before.
    fn notice_end(&self, side: &mut Downstream<'_>) -> Result<(), ExchangeEnd> {
        if !side.client.may_be_cut_off() || !self.upload.is_complete() {
            return Ok(());
        }
        while side.arrived.len() <= crate::http::limits::HEAD_BYTES {
            match side.client.try_read(side.buffers.raw()) {
                Ok(0) => break,
                Ok(n) => side.arrived.extend(side.buffers.raw.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(client_gone(&e)),
            }
        }
        Ok(())
    }

    /// The bytes that came with the head; what is not body stays for the next request.
    fn take_arrived(&mut self, side: &mut Downstream<'_>) -> Result<(), ExchangeEnd> {
        if self.upload.is_complete() || side.arrived.is_empty() {
            return Ok(());
        }
        let arrived = side.arrived.take_rest();
        self.take_upload(&arrived, side)
    }

    fn read_client(&mut self, side: &mut Downstream<'_>) -> Result<bool, Stop> {
        let mut raw = std::mem::take(&mut side.buffers.raw);
        raw.resize(limits::RELAY_BYTES, 0);
        let moved = match side.client.try_read(&mut raw) {
            Ok(0) => Err(client_gone(&ErrorKind::UnexpectedEof.into())),
            Ok(n) => self.take_upload(raw.get(..n).unwrap_or_default(), side).map(|()| true),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(client_gone(&e)),
        };
        side.buffers.raw = raw;
        Ok(moved?)
    }

    fn take_upload(
        &mut self,
        arrived: &[u8],
        side: &mut Downstream<'_>,
    ) -> Result<(), ExchangeEnd> {
        if !self.exchange.route.area.is_own()
            && let Some(taken) = self.upload.pass(arrived, &mut self.service)
        {
            self.exchange.record.received += taken as u64;
            side.arrived.extend(arrived.get(taken..).unwrap_or_default());
            return Ok(());
        }
        let taken = self.upload.take(arrived, &mut side.buffers.content);
        let taken = taken.map_err(|reason| {
            if self.download.has_begun() {
                ExchangeEnd::Cut(reason.to_owned())
            } else {
                ExchangeEnd::Failed(400, reason.to_owned())
            }
        })?;
        self.exchange.record.received += side.buffers.content.len() as u64;
        side.arrived.extend(arrived.get(taken..).unwrap_or_default());
        Ok(())
    }

    fn read_service(&mut self, side: &mut Downstream<'_>) -> Result<bool, Stop> {
        let mut raw = std::mem::take(&mut side.buffers.raw);
        raw.resize(limits::RELAY_BYTES, 0);
        let moved = match self.service.try_read(&mut raw) {
            Ok(0) => self.service_ended("it hung up").map_err(Stop::from),
            Ok(n) => self.take_download(raw.get(..n).unwrap_or_default(), side),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(self.service_failed(&e.to_string()).into()),
        };
        side.buffers.raw = raw;
        moved
    }

    fn take_download(&mut self, arrived: &[u8], side: &mut Downstream<'_>) -> Result<bool, Stop> {
        match self.download.pass(arrived, side.client) {
            Some(Ok(taken)) => {
                self.exchange.record.sent += taken as u64;
                return Ok(true);
            }
            Some(Err(e)) => return Err(client_gone(&e).into()),
            None => {}
        }
        let asked = Asked {
            head: &self.exchange.head,
            websocket: self.exchange.route.websocket,
            complete: self.upload.is_complete(),
        };
        self.heard = true;
        match self.download.take(arrived, asked, &mut side.buffers.content) {
            Ok(Taken::Interim) => Ok(true),
            Ok(Taken::Answer(status)) => {
                self.exchange.record.status = status;
                self.exchange.record.sent += side.buffers.content.len() as u64;
                Ok(true)
            }
            Ok(Taken::Switched) => {
                self.exchange.record.status = 101;
                Err(Stop::Tunnel)
            }
            Err(reason) => Err(self.answer_failed(reason).into()),
        }
    }

    fn service_ended(&mut self, why: &str) -> Result<bool, ExchangeEnd> {
        if self.download.end_of_connection() { Ok(true) } else { Err(self.service_failed(why)) }
    }

    fn answer_failed(&self, reason: &str) -> ExchangeEnd {
        let name = &self.exchange.route.service.name;
        let why = format!("the answer of {name} can't be passed on: {reason}");
        if self.download.has_begun() {
            ExchangeEnd::Cut(why)
        } else {
            ExchangeEnd::Failed(502, why)
        }
    }

    fn service_failed(&self, why: &str) -> ExchangeEnd {
        let name = &self.exchange.route.service.name;
        if self.download.has_begun() {
            ExchangeEnd::Cut(format!("{name} broke off its answer: {why}"))
        } else {
            ExchangeEnd::Failed(502, format!("{name} did not answer: {why}"))
        }
    }

    fn waits_for_client(&self) -> bool {
        self.upload.wants_more() && (!self.upload.is_waiting() || self.gathers())
    }

    /// It is up to the client that nothing moves, and not to a service that should tell it to go on.
    fn is_owed_by_client(&self) -> bool {
        let waits_to_be_told = !self.heard
            && self.exchange.record.received == 0
            && self.exchange.head.fields.first("expect").is_some();
        self.waits_for_client() && !waits_to_be_told
    }

    /// What goes to ourselves waits until there is enough of it, or all: each piece wakes a thread, which
    /// clients that send byte by byte must not.
    fn gathers(&self) -> bool {
        self.exchange.route.area.is_own()
            && !self.upload.is_complete()
            && self.upload.waiting() < limits::GATHERED_BYTES
            // Who waits to be told to go on is told by the management API.
            && (self.upload.has_begun() || self.exchange.head.fields.first("expect").is_none())
    }

    /// Of the place it holds.
    pub(crate) fn kind(&self) -> Kind {
        self.exchange.kind()
    }

    /// See `Connection::dawdles`; `ending` if its client will say no more.
    pub(crate) fn dawdles(&self, ending: bool) -> Option<SlowClient> {
        let is_own = self.exchange.route.area.is_own();
        let since = self.exchange.record.since;
        let waits_for_client = self.download.is_waiting() || self.waits_for_client();
        // What is ours is small, and a person's upload to a service may take hours.
        let slow = is_own
            || self.passed() < limits::SLOWEST * since.elapsed().as_secs()
            || (self.pieces >= limits::PIECES && self.passed() < limits::PIECE * self.pieces);
        match () {
            () if ending && !is_own && !self.download.has_begun() => Some(SlowClient::Gone(since)),
            () if waits_for_client && slow => Some(SlowClient::Here(since)),
            () => None,
        }
    }

    /// How long nothing may move, by whose turn it is.
    pub(crate) fn patience(&self) -> Duration {
        if self.download.is_waiting() || self.is_owed_by_client() {
            limits::BODY_PROGRESS
        } else {
            self.exchange.route.service.patience
        }
    }

    /// What it ends with if nothing has moved for so long.
    pub(crate) fn out_of_patience(&self) -> ExchangeEnd {
        let name = &self.exchange.route.service.name;
        if self.download.has_begun() || self.download.is_waiting() {
            ExchangeEnd::Cut("nothing moved for too long".to_owned())
        } else if self.is_owed_by_client() {
            ExchangeEnd::Failed(408, "the request body stopped coming".to_owned())
        } else {
            ExchangeEnd::Failed(504, format!("{name} does not answer in time"))
        }
    }

    /// The answer is out.
    fn finish(&mut self) -> ExchangeEnd {
        let delivered = self.upload.is_delivered();
        self.reusable = self.download.reusable && delivered && !self.exchange.ends_service();
        if self.download.close || !delivered { ExchangeEnd::Close } else { ExchangeEnd::KeepAlive }
    }
}

fn client_gone(error: &io::Error) -> ExchangeEnd {
    ExchangeEnd::Cut(format!("the client went away: {error}"))
}
