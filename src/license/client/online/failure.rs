//! Which hop failed, in a sentence for the person who has to mend it.

use std::io::ErrorKind;

use ureq::{Error, Timeout};

use super::challenge::Schemes;
use super::{Proxy, Way, budget};

/// Where a question got stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop {
    /// The name of the service, or of the proxy, is not known.
    Resolve,
    /// Nobody took the connection.
    Connect,
    /// Packets vanish on the way, as a firewall makes them.
    Blocked,
    /// The proxy wants another password, or one at all (407).
    ProxyPassword,
    /// Something answered, and it was not the license service.
    NotOurs,
    /// The connection broke, or the answer took too long.
    Broken,
    /// It was the service, and its answer does not fit the question.
    Answer,
}

impl Hop {
    /// A stable word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Hop::Resolve => "resolve",
            Hop::Connect => "connect",
            Hop::Blocked => "blocked",
            Hop::ProxyPassword => "proxy_authentication",
            Hop::NotOurs => "not_our_service",
            Hop::Broken => "broken_off",
            Hop::Answer => "answer_refused",
        }
    }
}

/// A question without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Where it got stuck.
    pub(crate) hop: Hop,
    /// What happened and what to do; holds no credentials.
    pub(crate) sentence: String,
    /// The service may have heard the question.
    pub(crate) in_doubt: bool,
    /// The proxy that refused the credentials it was given: they are not to be sent again.
    pub(crate) refused: Option<Box<Proxy>>,
}

impl Failure {
    pub(crate) fn new(way: &Way, error: &Error, connected: bool) -> Failure {
        let first = match &way.proxy {
            Some(proxy) => format!("the proxy {}", proxy.shown()),
            None => way.far_end(),
        };
        let (hop, what) = match error {
            Error::HostNotFound | Error::Timeout(Timeout::Resolve) => (
                Hop::Resolve,
                format!(
                    "the name of {first} is not known here; check the DNS settings or the spelling"
                ),
            ),
            // The resolver of the system says only this much.
            Error::Io(error)
                if !connected
                    && error.raw_os_error().is_none()
                    && error.kind() != ErrorKind::TimedOut =>
            {
                (Hop::Resolve, format!("the name of {first} can't be looked up: {error}"))
            }
            Error::Timeout(Timeout::Connect) => (
                Hop::Blocked,
                format!(
                    "{first} did not answer within 10 s; make sure that no firewall blocks the port, or configure a proxy"
                ),
            ),
            Error::Io(error) if !connected => {
                (Hop::Connect, format!("{first} can't be reached: {error}"))
            }
            Error::Timeout(timeout) => {
                let (doing, seconds) = budget(*timeout);
                (Hop::Broken, format!("{first} took too long: {doing} may take {seconds} s"))
            }
            Error::BodyExceedsLimit(limit) => (
                Hop::NotOurs,
                format!(
                    "{first} answered with more than {limit} bytes, which the license service never does"
                ),
            ),
            Error::LargeResponseHeader(..) | Error::Protocol(_) | Error::Http(_) => {
                (Hop::NotOurs, format!("{first} does not speak HTTP as the license service does"))
            }
            other => (Hop::Broken, format!("{first} broke the connection off: {}", plain(other))),
        };
        Failure { hop, sentence: what, in_doubt: connected, refused: None }
    }

    pub(crate) fn proxy_password(way: &Way, status: u16, offered: &Schemes) -> Failure {
        let with_credentials = way.proxy.as_ref().filter(|proxy| proxy.user.is_some());
        let who = match &way.proxy {
            Some(proxy) => format!("the proxy {}", proxy.shown()),
            None => "a proxy on the way".to_owned(),
        };
        let sentence = if let Some(others) = offered.without_basic() {
            format!(
                "{who} takes no other credentials than {others} ({status}), and the appliance has Basic \
                 alone: put a relay such as cntlm or px between them, or let the appliance through to {} \
                 without a password",
                way.host()
            )
        } else if with_credentials.is_some() {
            format!(
                "{who} refused the user name or password ({status}), so they are not sent again; set them \
                 with POST license/network"
            )
        } else {
            format!(
                "{who} wants a user name and password ({status}); set them with POST license/network"
            )
        };
        // Nobody has signed that answer, so it proves nothing about who heard the question.
        let refused = with_credentials.cloned().map(Box::new);
        Failure { hop: Hop::ProxyPassword, sentence, in_doubt: true, refused }
    }

    pub(crate) fn not_ours(way: &Way, status: u16, body: &[u8]) -> Failure {
        let start: Vec<u8> =
            body.trim_ascii_start().iter().take(512).map(u8::to_ascii_lowercase).collect();
        let page = [b"<!doctype".as_slice(), b"<html", b"<head", b"<?xml"]
            .iter()
            .any(|mark| start.starts_with(mark));
        let who = match &way.proxy {
            Some(proxy) => format!("the proxy {}", proxy.shown()),
            None => "something on the way".to_owned(),
        };
        let what = if page {
            format!("{who} answered with a web page (HTTP {status})")
        } else {
            format!("{who} answered with HTTP {status}")
        };
        let sentence = format!(
            "{what} in place of {}; let it pass {} unchanged",
            way.far_end(),
            way.authority_url
        );
        Failure { hop: Hop::NotOurs, sentence, in_doubt: true, refused: None }
    }

    /// The service's answer can't be believed.
    pub(crate) fn answer(reason: &str) -> Failure {
        Failure {
            hop: Hop::Answer,
            sentence: format!("the answer of the license service was refused: {reason}"),
            in_doubt: true,
            refused: None,
        }
    }
}

/// An error of the client in words, without what was sent.
fn plain(error: &Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        _ => "no usable answer".to_owned(),
    }
}
