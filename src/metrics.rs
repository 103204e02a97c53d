//! What the appliance counts since its start, for `/metrics`.
//!
//! The gate counts and the management API reads, without a lock: a request adds to a handful of numbers and
//! allocates nothing. Every label has few values, and none is an address, a path or a license.

use std::sync::Arc;
use std::time::Duration;

use crate::util::openmetrics::{Counter, Gauge, Histogram, Page};

/// What a request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Area {
    Management,
    Page,
    Health,
    Monitoring,
    Speech,
    Realtime,
    Custom,
    /// There is nothing at its path, or it is malformed.
    #[default]
    Unknown,
}

/// The label of each [`Area`].
const AREAS: [&str; 8] =
    ["management", "page", "health", "monitoring", "speech", "realtime", "custom", "unknown"];

/// The label of each class of statuses; the first is that of a client that got no response.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The status of a response after which the connection is a WebSocket.
const SWITCHING_PROTOCOLS: u16 = 101;

/// Why a connection was closed without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Plain HTTP is disabled.
    HttpDisabled,
    /// There was no memory for its handshake, or no random number.
    Resources,
    /// Its address may not come.
    Address,
    /// Its PROXY protocol header is not valid.
    ProxyHeader,
}

const REFUSALS: [&str; 4] = ["http_disabled", "resources", "address", "proxy_header"];

/// Why a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeFailure {
    /// The client ended it with an alert: usually it does not trust the certificate.
    Alert,
    /// Client and appliance share no version, cipher suite, key exchange or protocol.
    Incompatible,
    /// The client closed the connection.
    Disconnected,
    /// The client speaks plain HTTP.
    PlainHttp,
    /// It took too long.
    Timeout,
    /// What the client sent is not TLS, or breaks its rules.
    Malformed,
}

const HANDSHAKE_FAILURES: [&str; 6] =
    ["alert", "incompatible", "disconnected", "plain_http", "timeout", "malformed"];

/// Why credentials did not let a request in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginFailure {
    WrongPassword,
    /// Its address had sent too many wrong passwords or job tokens.
    RateLimited,
    /// Too many passwords were being hashed.
    Busy,
    /// The job token is another one.
    WrongToken,
}

const LOGIN_FAILURES: [&str; 4] = ["wrong_password", "rate_limited", "busy", "wrong_token"];

/// Everything that is counted.
#[derive(Default)]
pub(crate) struct Metrics {
    areas: [AreaMetrics; AREAS.len()],
    open: Gauge,
    accepted: Counter,
    evicted: Counter,
    refused: [Counter; REFUSALS.len()],
    tls12: Counter,
    tls13: Counter,
    failed_handshakes: [Counter; HANDSHAKE_FAILURES.len()],
    failed_logins: [Counter; LOGIN_FAILURES.len()],
    /// Names of services, and how long each took to begin its response.
    services: Vec<(String, Histogram)>,
}

#[derive(Default)]
struct AreaMetrics {
    by_class: [Counter; CLASSES.len()],
    durations: Histogram,
    received: Counter,
    sent: Counter,
}

/// A connection of a client, counted as open until it is dropped.
pub(crate) struct OpenConnection(Arc<Metrics>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.decrement();
    }
}

impl Metrics {
    /// Counters for services with these names, which are numbered in this order.
    pub(crate) fn new<'a>(services: impl Iterator<Item = &'a str>) -> Metrics {
        let services = services.map(|name| (name.to_owned(), Histogram::default()));
        Metrics { services: services.collect(), ..Metrics::default() }
    }

    /// Counts a request that has ended with `status`, 0 if the client got no response. Bytes are those of the bodies.
    pub(crate) fn request(
        &self,
        area: Area,
        status: u16,
        duration: Duration,
        (received, sent): (u64, u64),
    ) {
        let Some(metrics) = self.areas.get(area as usize) else { return };
        increment(&metrics.by_class, usize::from(status / 100).min(CLASSES.len() - 1));
        // How long a WebSocket was open tells nothing about how long its client had to wait.
        if status != SWITCHING_PROTOCOLS {
            metrics.durations.observe(duration);
        }
        if received > 0 {
            metrics.received.add(received);
        }
        if sent > 0 {
            metrics.sent.add(sent);
        }
    }

    /// Records how long the service of this number took to begin its response.
    pub(crate) fn first_byte(&self, service: usize, duration: Duration) {
        if let Some((_, first_byte)) = self.services.get(service) {
            first_byte.observe(duration);
        }
    }

    /// Counts a connection that was accepted.
    pub(crate) fn open(self: &Arc<Metrics>) -> OpenConnection {
        self.accepted.increment();
        self.open.increment();
        OpenConnection(Arc::clone(self))
    }

    /// Counts a connection that was closed without a response.
    pub(crate) fn refused(&self, why: Refusal) {
        increment(&self.refused, why as usize);
    }

    /// Counts a connection that was closed to make room.
    pub(crate) fn evicted(&self) {
        self.evicted.increment();
    }

    /// Counts a complete handshake of TLS 1.3, or else 1.2.
    pub(crate) fn handshake(&self, is_tls13: bool) {
        if is_tls13 { &self.tls13 } else { &self.tls12 }.increment();
    }

    /// Counts a handshake that failed.
    pub(crate) fn failed_handshake(&self, why: HandshakeFailure) {
        increment(&self.failed_handshakes, why as usize);
    }

    /// Counts credentials that did not let a request in.
    pub(crate) fn failed_login(&self, why: LoginFailure) {
        increment(&self.failed_logins, why as usize);
    }

    /// Writes everything to a page.
    pub(crate) fn write(&self, page: &mut Page) {
        self.write_requests(page);
        page.gauge("connections", "", "Connections of clients that are open.", self.open.get());
        page.counter("connections_accepted", "Connections that came.", self.accepted.get());
        let help = "Connections closed without a response.";
        page.counters("connections_refused", "", help, by_reason(&REFUSALS, &self.refused));
        let help = "Connections closed to make room for others.";
        page.counter("connections_evicted", help, self.evicted.get());
        let versions = [("1.2", &self.tls12), ("1.3", &self.tls13)];
        let versions = versions.map(|(word, count)| (format!("version=\"{word}\""), count.get()));
        page.counters("tls_handshakes", "", "Complete TLS handshakes by version.", versions);
        let failures = by_reason(&HANDSHAKE_FAILURES, &self.failed_handshakes);
        let help = "TLS handshakes that failed, by reason.";
        page.counters("tls_handshake_failures", "", help, failures);
        let help = "Credentials that let nobody in, by reason.";
        page.counters("login_failures", "", help, by_reason(&LOGIN_FAILURES, &self.failed_logins));
        let services = self.services.iter();
        let first_bytes = services.map(|(name, time)| (format!("service=\"{name}\""), time));
        let help = "Until a service begins its response.";
        page.histograms("service_first_byte_seconds", help, first_bytes);
    }

    fn write_requests(&self, page: &mut Page) {
        let areas = || AREAS.iter().map(|area| format!("area=\"{area}\"")).zip(&self.areas);
        let requests = areas().flat_map(|(area, metrics)| {
            let classes = CLASSES.iter().zip(&metrics.by_class);
            classes.map(move |(class, count)| (format!("{area},code=\"{class}\""), count.get()))
        });
        page.counters("requests", "", "Requests by area and class of the status.", requests);
        let durations = areas().map(|(area, metrics)| (area, &metrics.durations));
        let help = "From the verdict on a request to the end of its response.";
        page.histograms("request_duration_seconds", help, durations);
        let received = areas().map(|(area, metrics)| (area, metrics.received.get()));
        page.counters("received_bytes", "bytes", "Bytes of request bodies.", received);
        let sent = areas().map(|(area, metrics)| (area, metrics.sent.get()));
        page.counters("sent_bytes", "bytes", "Bytes of response bodies.", sent);
    }
}

/// Counters with the word of each.
fn by_reason(words: &[&str], counts: &[Counter]) -> impl Iterator<Item = (String, u64)> {
    words.iter().zip(counts).map(|(word, count)| (format!("reason=\"{word}\""), count.get()))
}

fn increment(counters: &[Counter], index: usize) {
    if let Some(counter) = counters.get(index) {
        counter.increment();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{
        AREAS, Area, HANDSHAKE_FAILURES, HandshakeFailure, LOGIN_FAILURES, LoginFailure, Metrics,
        REFUSALS, Refusal,
    };
    use crate::util::openmetrics::{Format, Page};

    fn page(metrics: &Metrics) -> String {
        let mut page = Page::new("x_", Format::OpenMetrics);
        metrics.write(&mut page);
        page.finish()
    }

    fn has(page: &str, line: &str) -> bool {
        page.lines().any(|found| found == line)
    }

    #[test]
    fn every_value_has_its_own_label() {
        assert_eq!((Area::Unknown as usize, AREAS[Area::Health as usize]), (7, "health"));
        assert_eq!(AREAS[Area::Speech as usize], "speech");
        assert_eq!(REFUSALS[Refusal::Resources as usize], "resources");
        assert_eq!(REFUSALS[Refusal::ProxyHeader as usize], "proxy_header");
        assert_eq!(HANDSHAKE_FAILURES[HandshakeFailure::PlainHttp as usize], "plain_http");
        assert_eq!(HANDSHAKE_FAILURES[HandshakeFailure::Malformed as usize], "malformed");
        assert_eq!(LOGIN_FAILURES[LoginFailure::WrongToken as usize], "wrong_token");
    }

    #[test]
    fn a_request_counts_once_by_area_and_class_and_a_websocket_has_no_duration() {
        let metrics = Metrics::new(["a", "b"].into_iter());
        let moment = Duration::from_millis(3);
        metrics.request(Area::Speech, 201, moment, (7, 9));
        metrics.request(Area::Realtime, 101, Duration::from_secs(3_600), (1, 1));
        metrics.request(Area::Unknown, 0, moment, (0, 0));
        metrics.request(Area::Custom, 999, moment, (0, 0));
        metrics.first_byte(1, moment);
        metrics.first_byte(2, moment); // nobody
        let page = page(&metrics);
        for line in [
            "x_requests_total{area=\"speech\",code=\"2xx\"} 1",
            "x_requests_total{area=\"speech\",code=\"4xx\"} 0",
            "x_requests_total{area=\"realtime\",code=\"1xx\"} 1",
            "x_requests_total{area=\"unknown\",code=\"none\"} 1",
            "x_requests_total{area=\"custom\",code=\"5xx\"} 1",
            "x_request_duration_seconds_count{area=\"speech\"} 1",
            "x_request_duration_seconds_count{area=\"realtime\"} 0",
            "x_received_bytes_total{area=\"speech\"} 7",
            "x_sent_bytes_total{area=\"speech\"} 9",
            "x_service_first_byte_seconds_count{service=\"a\"} 0",
            "x_service_first_byte_seconds_count{service=\"b\"} 1",
        ] {
            assert!(has(&page, line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn a_connection_is_open_until_it_is_dropped() {
        let metrics = Arc::new(Metrics::default());
        let connections = [metrics.open(), metrics.open()];
        assert!(has(&page(&metrics), "x_connections 2"));
        drop(connections);
        let page = page(&metrics);
        assert!(has(&page, "x_connections 0") && has(&page, "x_connections_accepted_total 2"));
    }
}
