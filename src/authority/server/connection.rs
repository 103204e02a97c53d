//! One connection: reads one request, answers it, and waits for a moment until the client has the answer.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::health::Health;
use super::listeners::Peer;
use super::places::{Place, Places};
use super::proxies::Proxies;
use super::request::{Asked, METHODS_OF_PAGES, Page, Receiver, Rejection};
use super::{exposition, now};
use crate::authority::service::Service;
use crate::http::status::phrase;
use crate::license::protocol::wire;
use crate::util::openmetrics::Format;

/// Time for a whole request to arrive, and again for the answer to leave.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which the client may read the answer before the connection is closed under it.
const LINGER: Duration = Duration::from_secs(1);

const TEXT: &str = "text/plain; charset=utf-8";

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) service: Service,
    pub(crate) places: Arc<Places>,
    pub(crate) proxies: Proxies,
    pub(crate) health: Health,
    /// Whether SIGTERM came.
    pub(crate) draining: AtomicBool,
}

struct Answer {
    status: u16,
    content_type: &'static str,
    /// A header field, with its line end.
    field: &'static str,
    body: Vec<u8>,
    only_head: bool,
}

impl Answer {
    fn text(status: u16, body: String) -> Answer {
        let body = body.into_bytes();
        Answer { status, content_type: TEXT, field: "", body, only_head: false }
    }

    fn rejection(rejection: &Rejection) -> Answer {
        let body = format!("{}\n", phrase(rejection.status));
        Answer { field: rejection.field, ..Answer::text(rejection.status, body) }
    }

    fn into_bytes(self) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nCache-Control: no-store\r\n{}Connection: close\r\n",
            self.status,
            phrase(self.status),
            self.field
        );
        if self.status != 204 {
            head.push_str(&format!(
                "Content-Type: {}\r\nContent-Length: {}\r\n",
                self.content_type,
                self.body.len()
            ));
        }
        head.push_str("\r\n");
        let body = if self.only_head { &[][..] } else { &self.body[..] };
        [head.as_bytes(), body].concat()
    }
}

/// Reads one request and answers it.
///
/// # Errors
/// When the client is gone or too slow.
pub(crate) fn serve(
    stream: &TcpStream,
    peer: Peer,
    place: &Place,
    shared: &Shared,
) -> io::Result<()> {
    stream.set_write_timeout(Some(TIMEOUT))?;
    let answer = answer(stream, peer, place, shared)?.into_bytes();
    place.transfer();
    let mut stream = stream;
    stream.write_all(&answer)?;
    stream.shutdown(Shutdown::Write)?;
    // Closing on unread bytes would make the kernel reset the connection before the answer is read.
    stream.set_read_timeout(Some(LINGER))?;
    io::copy(&mut stream.take(wire::LARGEST as u64), &mut io::sink()).map(|_| ())
}

fn answer(stream: &TcpStream, peer: Peer, place: &Place, shared: &Shared) -> io::Result<Answer> {
    let mut receiver = Receiver::new(stream, Instant::now() + TIMEOUT);
    let (asked, fields) = match receiver.head(|| place.transfer())? {
        Ok(read) => read,
        Err(rejection) => return Ok(Answer::rejection(&rejection)),
    };
    let client = shared.proxies.client(peer, &fields);
    let proxied = shared.proxies.trust(peer) && client != peer.ip();
    if proxied && !place.belongs_to(client) {
        return Ok(Answer::rejection(&Rejection { status: 503, field: "Retry-After: 1\r\n" }));
    }
    match asked {
        Asked::Question { length, expects_continue } => {
            let body = receiver.body(length, expects_continue)?;
            place.work();
            Ok(question(&body, client, shared))
        }
        Asked::Page { page, only_head } => {
            place.work();
            Ok(Answer { only_head, ..self::page(page, shared) })
        }
        Asked::Options => {
            Ok(Answer { field: METHODS_OF_PAGES, ..Answer::text(204, String::new()) })
        }
    }
}

fn question(body: &[u8], client: IpAddr, shared: &Shared) -> Answer {
    let begun = Instant::now();
    let (status, body) = shared.service.respond(body, client, now());
    shared.service.metrics.durations.observe(begun.elapsed());
    Answer { status, content_type: "application/json", field: "", body, only_head: false }
}

fn page(page: Page, shared: &Shared) -> Answer {
    match page {
        Page::Root => Answer::text(200, "license authority\n".to_owned()),
        Page::Health => {
            let mut reasons = shared.health.faults(&shared.service, now());
            if shared.draining.load(Ordering::Relaxed) {
                reasons.insert(0, "stopping");
            }
            match reasons.is_empty() {
                true => Answer::text(200, "ok\n".to_owned()),
                false => Answer::text(503, reasons.join("\n") + "\n"),
            }
        }
        Page::Metrics => Answer {
            content_type: Format::OpenMetrics.content_type(),
            ..Answer::text(200, exposition::write(shared, now()))
        },
    }
}
