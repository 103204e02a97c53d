//! Why a request failed, as a message for the administrator.

use std::fmt::Display;
use std::io;

use ureq::{Error, Timeout};

use super::{Proxy, Route, budget};
use crate::util::words::words;

words! {
    /// What failed between the appliance and the license service; the words are stable, for programs.
    pub(crate) enum ErrorKind {
        /// The name of the service, or of the proxy, cannot be resolved.
        Resolve = "resolve",
        /// The connection was refused.
        Connect = "connect",
        /// Packets are dropped on the way, as by a firewall.
        Blocked = "blocked",
        /// The proxy requires other credentials (407).
        ProxyAuth = "proxy_authentication",
        /// A server answered, but not the license service.
        WrongServer = "not_our_service",
        /// The connection broke, or the answer took too long.
        Interrupted = "broken_off",
        /// The license service answered, but the answer is not valid for the request.
        InvalidAnswer = "answer_refused",
    }
}

/// A request that got no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransportError {
    pub(crate) kind: ErrorKind,
    /// What happened and what to do; contains no credentials.
    pub(crate) message: String,
    /// The service may have received the request.
    pub(crate) maybe_delivered: bool,
    /// The proxy that rejected its credentials: they must not be sent again.
    pub(crate) rejected_by: Option<Box<Proxy>>,
}

impl TransportError {
    pub(crate) fn new(route: &Route, error: &Error, connected: bool) -> TransportError {
        let first = match &route.proxy {
            Some(proxy) => format!("the proxy {}", proxy.address()),
            None => route.service_name(),
        };
        let (kind, what) = match error {
            Error::HostNotFound | Error::Timeout(Timeout::Resolve) => (
                ErrorKind::Resolve,
                format!(
                    "the name of {first} cannot be resolved; check the DNS settings or the spelling"
                ),
            ),
            // An error of the system's resolver has no number.
            Error::Io(error)
                if !connected
                    && error.raw_os_error().is_none()
                    && error.kind() != io::ErrorKind::TimedOut =>
            {
                (ErrorKind::Resolve, format!("the name of {first} cannot be resolved: {error}"))
            }
            Error::Timeout(Timeout::Connect) => (
                ErrorKind::Blocked,
                format!(
                    "{first} did not answer within 10 s; make sure that no firewall blocks the port, or configure a proxy"
                ),
            ),
            Error::Io(error) if !connected => {
                (ErrorKind::Connect, format!("{first} can't be reached: {error}"))
            }
            Error::Timeout(timeout) => {
                let (doing, seconds) = budget(*timeout);
                (
                    ErrorKind::Interrupted,
                    format!("{first} took too long: {doing} may take {seconds} s"),
                )
            }
            Error::BodyExceedsLimit(limit) => (
                ErrorKind::WrongServer,
                format!(
                    "{first} answered with more than {limit} bytes, which the license service never does"
                ),
            ),
            Error::LargeResponseHeader(..) | Error::Protocol(_) | Error::Http(_) => (
                ErrorKind::WrongServer,
                format!("{first} does not speak HTTP as the license service does"),
            ),
            other => {
                (ErrorKind::Interrupted, format!("{first} closed the connection: {}", plain(other)))
            }
        };
        TransportError { kind, message: what, maybe_delivered: connected, rejected_by: None }
    }

    pub(crate) fn proxy_auth(route: &Route, status: u16, others: Option<String>) -> TransportError {
        let with_credentials = route.proxy.as_ref().filter(|proxy| proxy.user.is_some());
        let who = match &route.proxy {
            Some(proxy) => format!("the proxy {}", proxy.address()),
            None => "a proxy on the way".to_owned(),
        };
        let message = if let Some(others) = others {
            format!(
                "{who} accepts only {others} authentication ({status}), but the appliance supports only \
                 Basic: put a relay such as cntlm or px between them, or let the appliance reach {} \
                 without a password",
                route.host()
            )
        } else if with_credentials.is_some() {
            format!(
                "{who} refused the user name or password ({status}), so they are not sent again; set them \
                 with POST license/network"
            )
        } else {
            format!(
                "{who} requires a user name and password ({status}); set them with POST license/network"
            )
        };
        // That answer is not authenticated, so the service may have received the request.
        let rejected_by = with_credentials.cloned().map(Box::new);
        TransportError { kind: ErrorKind::ProxyAuth, message, maybe_delivered: true, rejected_by }
    }

    pub(crate) fn wrong_server(route: &Route, status: u16, body: &[u8]) -> TransportError {
        let start: Vec<u8> =
            body.trim_ascii_start().iter().take(512).map(u8::to_ascii_lowercase).collect();
        let page = [b"<!doctype".as_slice(), b"<html", b"<head", b"<?xml"]
            .iter()
            .any(|mark| start.starts_with(mark));
        let who = match &route.proxy {
            Some(proxy) => format!("the proxy {}", proxy.address()),
            None => "something on the way".to_owned(),
        };
        let what = if page {
            format!("{who} answered with a web page (HTTP {status})")
        } else {
            format!("{who} answered with HTTP {status}")
        };
        let message = format!(
            "{what} instead of {}; let it pass {} unchanged",
            route.service_name(),
            route.authority_url
        );
        TransportError {
            kind: ErrorKind::WrongServer,
            message,
            maybe_delivered: true,
            rejected_by: None,
        }
    }

    /// The answer of the service is not acceptable.
    pub(crate) fn invalid_answer(reason: impl Display) -> TransportError {
        TransportError {
            kind: ErrorKind::InvalidAnswer,
            message: format!("the answer of the license service was refused: {reason}"),
            maybe_delivered: true,
            rejected_by: None,
        }
    }
}

/// Describes an error of the HTTP client without the data that was sent.
fn plain(error: &Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        _ => "no usable answer".to_owned(),
    }
}
