//! What the log tells of clients that never got as far as a request: TLS that failed, and why.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use super::Connection;
use crate::config::Listen;
use crate::gate::Gate;
use crate::log::Log;

/// Lines in one [`SECOND`]; an operator needs one, a flood must not fill the disk.
const LINES: u64 = 5;
const SECOND: Duration = Duration::from_secs(1);

/// Limits the lines, and counts what it leaves out.
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

    /// A handshake of `peer` on `port` has failed.
    fn note(&self, peer: SocketAddr, port: u16, why: impl Display) {
        self.tell_left_out();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.failures += 1;
        if recent.failures <= LINES {
            let peer: IpAddr = peer.ip().to_canonical();
            self.log.connection(format_args!("{peer}: no TLS on port {port}: {why}"));
        }
    }

    /// To be called now and then: once a second is over, tells how many lines were left out in it.
    pub(crate) fn tell_left_out(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.since.elapsed() < SECOND {
            return;
        }
        let left_out = recent.failures.saturating_sub(LINES);
        *recent = Recent { since: Instant::now(), failures: 0 };
        if left_out > 0 {
            self.log.connection(format_args!(
                "{left_out} more TLS handshakes failed at the same time and are not listed"
            ));
        }
    }
}

impl Gate {
    /// A handshake has failed; who has said nothing at all, such as a health check, is not worth a line.
    pub(crate) fn log_failed_handshake(&self, connection: &Connection, listen: &Listen, why: &str) {
        if connection.stream.has_spoken() {
            self.strangers.note(connection.peer, listen.address.port(), why);
        }
    }
}

/// Why a handshake ended with `error`, as far as the client has let us know.
pub(crate) fn why(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => of_tls(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client hung up in the middle of the handshake".to_owned()
        }
        None => format!("the connection broke: {error}"),
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
            "the client offers no cipher suite that is served here"
        }
        Error::PeerIncompatible(Without::NoKxGroupsInCommon) => {
            "the client offers no key exchange that is served here"
        }
        Error::NoApplicationProtocol => "the client offers (by ALPN) neither http/1.1 nor http/1.0",
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
            "the client asks (by SNI) for a host name that can be none"
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "what the client sends is not TLS",
        _ => "",
    };
    match error {
        _ if !known.is_empty() => known.to_owned(),
        Error::AlertReceived(alert) => format!("the client broke off with the alert {alert:?}"),
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
    fn a_flood_costs_a_few_lines_a_second_and_one_that_counts_the_rest() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let log = Log::to(move |line| kept.lock().unwrap().push(line.to_owned()));
        let strangers = HandshakeLog::new(log.clone());
        let peer = "[::ffff:192.0.2.7]:4711".parse().unwrap();
        let later = || {
            let mut recent = strangers.recent.lock().unwrap();
            recent.since = recent.since.checked_sub(SECOND).unwrap();
        };
        (0..1_000).for_each(|_| strangers.note(peer, 443, "x"));
        let told = lines.lock().unwrap().len();
        assert!(told >= usize::try_from(LINES).unwrap() && told < 100, "{told} lines");
        assert!(lines.lock().unwrap()[0].ends_with(" info 192.0.2.7: no TLS on port 443: x\n"));

        *strangers.recent.lock().unwrap() = Recent { since: Instant::now(), failures: 1_000 };
        strangers.tell_left_out();
        later();
        strangers.tell_left_out();
        later();
        strangers.tell_left_out();
        let last = lines.lock().unwrap().last().unwrap().clone();
        assert!(last.contains(" 995 more TLS handshakes failed"), "{last}");
        assert_eq!(lines.lock().unwrap().iter().filter(|line| line.contains(" 995 ")).count(), 1);
        // HandshakeLog don't push out what an operator looks for.
        assert!(log.recent(Kind::Operation, usize::MAX, |_| true).is_empty());
    }
}
