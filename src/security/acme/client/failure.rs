//! Why a request got no answer, as a message for the administrator.

use std::io;
use std::time::Duration;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use ureq::{Error, Timeout};

use super::problem::words;
use super::transport::{CONNECT, host};
use crate::util::utc;

/// The way to the authority, for messages.
pub(super) struct Route {
    /// `host:port`
    pub(super) proxy: Option<String>,
    /// Whether the proxy gets a user name and a password.
    pub(super) credentials: bool,
    /// Whether the administrator sent the root to trust.
    pub(super) own_root: bool,
    /// Time limit for one request.
    pub(super) budget: Duration,
}

impl Route {
    /// What failed and what to do; contains no credentials.
    pub(super) fn failure(&self, url: &str, error: &Error) -> String {
        let authority = format!("the certificate authority at {}", host(url));
        let first = match &self.proxy {
            Some(proxy) => format!("the proxy {proxy}"),
            None => authority.clone(),
        };
        if let Some(error) = tls_error(error) {
            return self.tls(&authority, error);
        }
        match error {
            Error::HostNotFound | Error::Timeout(Timeout::Resolve) => format!(
                "the name of {first} cannot be resolved; check the DNS settings or the spelling"
            ),
            Error::Io(error) if is_broken_off(error) => {
                format!("the connection to {authority} broke off: {error}")
            }
            // An error of the system's resolver has no number.
            Error::Io(error) if error.raw_os_error().is_none() => {
                format!("the name of {first} cannot be resolved: {error}")
            }
            Error::Io(error) => format!(
                "{first} can't be reached: {error}; check the address, and that no firewall blocks it"
            ),
            Error::Timeout(Timeout::Connect) => format!(
                "{first} did not answer within {} s; make sure that no firewall blocks the port, or use a \
                 proxy",
                CONNECT.as_secs()
            ),
            Error::Timeout(_) => {
                let seconds = self.budget.as_secs();
                format!("{authority} took too long: a whole request may take {seconds} s")
            }
            Error::ConnectProxyFailed(reason) => self.refused_by_proxy(&first, url, reason),
            Error::BodyExceedsLimit(limit) => {
                format!(
                    "{authority} answered with more than {limit} bytes, which no ACME server does"
                )
            }
            Error::LargeResponseHeader(..) | Error::Protocol(_) | Error::Http(_) => {
                format!("{authority} does not speak HTTP as an ACME server does")
            }
            Error::RequireHttpsOnly(_) | Error::BadUri(_) | Error::Tls(_) => {
                format!("{} is no usable URL of an ACME server", words(url))
            }
            _ => format!("{authority} gave no usable answer"),
        }
    }

    fn refused_by_proxy(&self, proxy: &str, url: &str, reason: &str) -> String {
        // As in "proxy server responded 407/407"; tinyproxy answers 401 to a wrong password.
        match reason.rsplit('/').next() {
            Some(status @ ("401" | "407")) if self.credentials => format!(
                "{proxy} refused the user name or password ({status}); set them with POST license/network"
            ),
            Some(status @ ("401" | "407")) => format!(
                "{proxy} requires a user name and password ({status}); set them with POST license/network"
            ),
            _ => format!(
                "{proxy} refused the connection ({}); let it pass CONNECT to {}",
                words(reason),
                host(url)
            ),
        }
    }

    fn tls(&self, authority: &str, error: &rustls::Error) -> String {
        let rustls::Error::InvalidCertificate(error) = error else {
            return format!(
                "{authority} does not speak TLS as expected ({}); check the address and the port",
                words(&error.to_string())
            );
        };
        let clock = |now: &UnixTime| {
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            format!("the appliance's clock says {}: set it if that is wrong", utc::format(now))
        };
        let date = |time: &UnixTime| utc::format(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        match error {
            // A root of the same name with another key ends in a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                let what = if self.own_root {
                    "the \"root\" that was sent: send the root certificate of this authority, unless \
                     something on the way replaces its certificate"
                } else {
                    "a root that the appliance trusts: send its root certificate as \"root\""
                };
                format!("the certificate of {authority} is not signed by {what}")
            }
            CertificateError::ExpiredContext { time, not_after } => format!(
                "the certificate of {authority} expired at {}; {}",
                date(not_after),
                clock(time)
            ),
            CertificateError::NotValidYetContext { time, not_before } => format!(
                "the certificate of {authority} is valid from {} on; {}",
                date(not_before),
                clock(time)
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate of {authority} is for other names: check the URL")
            }
            other => {
                format!(
                    "the certificate of {authority} is not valid: {}",
                    words(&other.to_string())
                )
            }
        }
    }
}

/// A failed handshake arrives as an I/O error that holds rustls' own.
fn tls_error(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::Rustls(error) => Some(error),
        Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn is_broken_off(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}
