//! Log lines about failed TLS handshakes and their reasons.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use super::Connection;
use crate::config::Listen;
use crate::gate::Gate;
use crate::log::Log;
use crate::metrics::HandshakeFailure;

/// Lines in one [`SECOND`], so that a flood of failures does not fill the disk.
const LINES: u64 = 5;
const SECOND: Duration = Duration::from_secs(1);

/// Limits the lines and counts the suppressed ones.
pub(crate) struct HandshakeLog {
    log: Log,
    recent: Mutex<Recent>,
}

struct Recent {
    since: Instant,
    failures: u64,
}

impl HandshakeLog {
    pub(crate) fn new(log: Log) -> HandshakeLog {
        HandshakeLog { log, recent: Mutex::new(Recent { since: Instant::now(), failures: 0 }) }
    }

    /// Logs a failed handshake of `peer` on `port`.
    fn record(&self, peer: SocketAddr, port: u16, why: impl Display) {
        self.report_suppressed();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.failures += 1;
        if recent.failures <= LINES {
            let text = format_args!("TLS handshake failed on port {port}: {why}");
            self.log.connection_from(peer.ip(), text);
        }
    }

    /// Logs how many lines were suppressed, once a second is over. To be called regularly.
    pub(crate) fn report_suppressed(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.since.elapsed() < SECOND {
            return;
        }
        let suppressed = recent.failures.saturating_sub(LINES);
        *recent = Recent { since: Instant::now(), failures: 0 };
        if suppressed > 0 {
            self.log.connections(format_args!(
                "{suppressed} more TLS handshakes failed in the same second and are not logged"
            ));
        }
    }
}

impl Gate {
    /// Counts and logs a failed handshake, unless the client has sent nothing at all, as a health check does.
    pub(crate) fn on_failed_handshake(
        &self,
        connection: &Connection,
        listen: &Listen,
        failure: HandshakeFailure,
        why: &str,
    ) {
        if connection.stream.has_received() {
            self.metrics.failed_handshake(failure);
            self.handshake_log.record(connection.peer, listen.address.port(), why);
        }
    }
}

/// The kind of `error`, with which a handshake failed.
pub(crate) fn failure(error: &io::Error) -> HandshakeFailure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        None => HandshakeFailure::Disconnected,
        Some(Error::AlertReceived(_)) => HandshakeFailure::Alert,
        // The second is that of an ACME challenge that nobody has published.
        Some(Error::PeerIncompatible(_) | Error::General(_) | Error::NoApplicationProtocol) => {
            HandshakeFailure::Incompatible
        }
        Some(_) => HandshakeFailure::Malformed,
    }
}

/// Why a handshake failed with `error`, for a person.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => of_tls(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client disconnected during the handshake".to_owned()
        }
        None => format!("the connection failed: {error}"),
    }
}

fn of_tls(error: &Error) -> String {
    use AlertDescription as Alert;
    use PeerIncompatible as Without;
    let known = match error {
        Error::PeerIncompatible(
            Without::Tls12NotOffered
            | Without::Tls12NotOfferedOrEnabled
            | Without::SupportedVersionsExtensionRequired,
        ) => "the client offers neither TLS 1.2 nor 1.3",
        Error::PeerIncompatible(Without::SignatureAlgorithmsExtensionRequired) => {
            "the client seems to be older than TLS 1.2: it names no signature algorithms"
        }
        Error::PeerIncompatible(Without::NoCipherSuitesInCommon) => {
            "the client offers no supported cipher suite"
        }
        Error::PeerIncompatible(Without::NoKxGroupsInCommon) => {
            "the client offers no supported key exchange"
        }
        Error::NoApplicationProtocol => "the client offers (by ALPN) neither http/1.1 nor http/1.0",
        // The certificate resolver of `tls` finds one for all other clients.
        Error::General(why) if why == "no server certificate chain resolved" => {
            "the client asks (by ALPN) to validate an ACME challenge, and none is published for its SNI"
        }
        Error::AlertReceived(Alert::UnknownCA) => {
            "the client does not trust the certificate: it doesn't know who signed it (unknown CA)"
        }
        Error::AlertReceived(Alert::CertificateExpired) => {
            "the client does not trust the certificate: by its clock it has expired or is not valid yet"
        }
        Error::AlertReceived(Alert::BadCertificate | Alert::CertificateUnknown) => {
            "the client does not trust the certificate"
        }
        Error::PeerMisbehaved(PeerMisbehaved::ServerNameMustContainOneHostName) => {
            "the client asks (by SNI) for an invalid host name"
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "the client does not speak TLS",
        _ => "",
    };
    match error {
        _ if !known.is_empty() => known.to_owned(),
        Error::AlertReceived(alert) => format!("the client aborted with the alert {alert:?}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use super::{HandshakeLog, LINES, Recent, SECOND};
    use crate::log::{Kind, Log};

    #[test]
    fn a_flood_costs_a_few_lines_a_second_and_one_with_the_number_of_the_others() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let log = Log::to(move |line| sink.lock().unwrap().push(line.to_owned()));
        let handshake_log = HandshakeLog::new(log.clone());
        let peer = "[::ffff:192.0.2.7]:4711".parse().unwrap();
        let next_second = || {
            let mut recent = handshake_log.recent.lock().unwrap();
            recent.since = recent.since.checked_sub(SECOND).unwrap();
        };
        (0..1_000).for_each(|_| handshake_log.record(peer, 443, "x"));
        let logged = lines.lock().unwrap().len();
        assert!(logged >= usize::try_from(LINES).unwrap() && logged < 100, "{logged} lines");
        let first = lines.lock().unwrap()[0].clone();
        assert!(first.ends_with(" info 192.0.2.7: TLS handshake failed on port 443: x\n"));

        *handshake_log.recent.lock().unwrap() = Recent { since: Instant::now(), failures: 1_000 };
        handshake_log.report_suppressed();
        next_second();
        handshake_log.report_suppressed();
        next_second();
        handshake_log.report_suppressed();
        let last = lines.lock().unwrap().last().unwrap().clone();
        assert!(last.contains(" 995 more TLS handshakes failed"), "{last}");
        assert_eq!(lines.lock().unwrap().iter().filter(|line| line.contains(" 995 ")).count(), 1);
        // These lines do not displace the lines that an operator looks for.
        assert!(log.recent(Kind::Operation, usize::MAX, |_| true).is_empty());
    }
}
