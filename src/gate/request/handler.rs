//! Handles one request: rejects, redirects or forwards it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::access_log::{Line, Record};
use super::basic_auth::{Expected, Outcome};
use super::license_denied;
use super::policy;
use super::policy::{Access, Area, PasswordKind, PasswordSource, Situation};
use super::response::LocalResponse;
use super::router::Route;
use crate::config::{HttpDisabled, Listen};
use crate::gate::connection::{Action, Connection, State, Then};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits::permits::Class;
use crate::gate::proxy::exchange::{Authorized, Exchange, ExchangeEnd};
use crate::gate::{Gate, now};
use crate::http::Error;
use crate::http::body;
use crate::http::body::Length;
use crate::http::head::RequestHead;
use crate::http::method;
use crate::http::target::Target;
use crate::security::{Password, Rules};

/// How a request is handled.
enum Decision {
    /// Close without a response.
    Drop,
    /// Send a local response; `close` if an unread body would be taken for the next request.
    Respond {
        response: LocalResponse,
        close: bool,
    },
    /// Respond that there is no valid license.
    DenyLicense,
    /// Accept the WebSocket with these bytes, and explain in it that there is no valid license.
    DenyLicenseWebSocket(Vec<u8>),
    Forward(Authorized),
    /// Continue on a thread that may block, because the password must be hashed.
    Block,
}

/// A request whose head is valid.
pub(crate) struct ParsedRequest {
    pub(crate) head: RequestHead,
    pub(crate) target: Target,
    pub(crate) length: Length,
    websocket: bool,
    pub(crate) close: bool,
}

impl Gate {
    /// Handles one request: rejects it, redirects it, responds locally, or begins an exchange.
    pub(crate) fn serve(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        head: RequestHead,
        may_wait: bool,
    ) -> Option<Action> {
        let mut record = Record::new(connection.peer.ip(), listen.tls);
        let request = match validate(&head) {
            Ok((target, length)) => self.parse(head, target, length),
            Err(error) => {
                if self.drops_silently(listen) {
                    connection.linger();
                } else {
                    record.status = error.status;
                    self.respond(connection, &head, &LocalResponse::malformed(error), true);
                }
                self.log_access(&record, &head.method, "", "");
                return None;
            }
        };
        let (method, path) = (request.head.method.as_str(), request.target.path.as_str());
        let route = self.routes.find(listen.serves, &request.target, request.websocket);
        match self.decide(connection, listen, &request, route.as_ref(), may_wait) {
            Decision::Block => {
                connection.state = State::Request(request.head);
                return Some(Action::Block);
            }
            Decision::Forward(authorized) => {
                let Some(route) = route else { return Some(Action::Close) }; // never: only a route is forwarded
                let class = Class::of(&route, request.length);
                let Some(permit) = self.request_limits.take(class) else {
                    connection.state = State::Request(request.head);
                    return Some(Action::OverLimit(class));
                };
                if let Some(given) = self.try_local(connection, listen, &request, &route) {
                    (record.status, record.sent) = (given.status, given.length);
                    let then = if request.close { Then::Close } else { Then::NextRequest };
                    connection.respond(given.bytes, then, Some((class, permit)));
                    self.log_access(&record, method, path, &route.upstream.name);
                    return None;
                }
                connection.state = State::Connecting(Box::new(Exchange {
                    head: request.head,
                    target: request.target,
                    route,
                    length: request.length,
                    peer: connection.peer.ip().to_canonical(),
                    tls: listen.tls,
                    close: request.close,
                    record,
                    authorized,
                    is_retry: false,
                    _permit: permit,
                }));
                return None;
            }
            Decision::Drop => connection.linger(),
            Decision::Respond { response, close } => {
                (record.status, record.sent) = (response.status, response.length());
                self.respond(connection, &request.head, &response, close);
                connection.penalize();
            }
            Decision::DenyLicense => {
                let response = license_denied::batch_response();
                (record.status, record.sent) = (response.status, response.length());
                license_denied::REMARK.clone_into(&mut record.remark);
                let close = request.close || request.length != Length::Exact(0);
                self.respond(connection, &request.head, &response, close);
            }
            Decision::DenyLicenseWebSocket(acceptance) => {
                record.status = 101;
                license_denied::REMARK.clone_into(&mut record.remark);
                connection.respond(acceptance, Then::RejectWebSocket, None);
            }
        }
        self.log_access(&record, method, path, "");
        None
    }

    /// Handles the end of an exchange: the response or close that the client gets, and the access log.
    pub(crate) fn finish_exchange(
        &self,
        connection: &mut Connection,
        exchange: Exchange,
        end: ExchangeEnd,
    ) -> Option<Action> {
        let Exchange { head, target, route, length, close, mut record, .. } = exchange;
        let mut next = None;
        match end {
            ExchangeEnd::KeepAlive => connection.expect_request(),
            ExchangeEnd::Close => connection.linger(),
            ExchangeEnd::Abort(why) => {
                record.remark = why;
                // With a reset, so that a truncated response is not taken for a complete one.
                let _ = set_socket_linger(connection.stream.descriptor(), Some(Duration::ZERO));
                next = Some(Action::Close);
            }
            ExchangeEnd::Failed(status, why) => {
                let mut response = LocalResponse::error(Some(route.area), status, &why);
                (record.status, record.sent) = (status, response.length());
                if status == 503 {
                    response = response.with("Retry-After", "1");
                }
                if !self.config.access_log {
                    self.log.warn(format_args!("{}: {why}", target.path));
                }
                record.remark = why;
                // The body may not have been read to its end, so no other request may follow.
                self.respond(connection, &head, &response, close || length != Length::Exact(0));
            }
        }
        self.log_access(&record, &head.method, &target.path, &route.upstream.name);
        next
    }

    /// Writes the access log line of one request.
    pub(crate) fn log_access(&self, record: &Record, method: &str, path: &str, service: &str) {
        if self.config.access_log {
            self.log.access(&Line { record, method, path, service });
        }
    }

    /// Adds what the head says about the connection.
    fn parse(&self, head: RequestHead, target: Target, length: Length) -> ParsedRequest {
        ParsedRequest {
            websocket: is_websocket(&head, length),
            close: self.is_draining() || !is_persistent(&head),
            target,
            length,
            head,
        }
    }

    /// Applies the rules in order: plain HTTP, path, credentials, license.
    fn decide(
        &self,
        connection: &Connection,
        listen: &Listen,
        request: &ParsedRequest,
        route: Option<&Route>,
        may_wait: bool,
    ) -> Decision {
        let rules = self.rules.snapshot();
        let situation = self.situation(listen, &rules);
        let close = request.close || request.length != Length::Exact(0);
        let response = match (policy::disabled_http(&situation), route) {
            (Some(HttpDisabled::Close), _) => return Decision::Drop,
            (Some(HttpDisabled::Redirect), _) => {
                let location = self.https_location(connection, listen, &request.target);
                LocalResponse::redirect(&request.head, &location)
            }
            (None, Some(route))
                if policy::is_cross_site(
                    &request.head,
                    request.target.authority.as_deref(),
                    route.area,
                ) =>
            {
                let peer = connection.peer.ip().to_canonical();
                self.log.security(format_args!("{peer}: cross-site request refused"));
                LocalResponse::error(None, 403, "another site asked the browser for this change")
            }
            (None, Some(route)) if is_too_large(request.length, route) => {
                LocalResponse::too_large(&request.target.path)
            }
            (None, route) => {
                let peer = connection.peer.ip().to_canonical();
                let area = route.map_or(Area::Unknown, |route| route.area);
                let authorized =
                    self.authorize(&situation, &rules, area, &request.head, peer, may_wait);
                match (authorized, route) {
                    (Ok(_), None) => {
                        LocalResponse::error(None, 404, "there is nothing at this path")
                    }
                    (Ok(_), Some(_))
                        if method::is_never_forwarded(&request.head.method) && !area.is_local() =>
                    {
                        LocalResponse::not_forwarded(area)
                    }
                    (Ok(authorized), Some(route)) if self.is_entitled(request, route) => {
                        return Decision::Forward(authorized);
                    }
                    (Ok(_), Some(_)) if request.websocket => {
                        return license_denied::acceptance(&request.head, &now())
                            .map_or(Decision::DenyLicense, Decision::DenyLicenseWebSocket);
                    }
                    (Ok(_), Some(_)) => return Decision::DenyLicense,
                    (Err(Some(response)), _) => response,
                    (Err(None), _) => return Decision::Block,
                }
            }
        };
        Decision::Respond { response, close }
    }

    /// True if the request needs no license or the current license is valid.
    fn is_entitled(&self, request: &ParsedRequest, route: &Route) -> bool {
        let (head, target, licensed) = (&request.head, &request.target, &route.upstream.licensed);
        !policy::needs_license(route.area, head, target, request.websocket, licensed)
            || self.license.snapshot().may_transcribe
    }

    /// True if a client gets no response at all.
    pub(crate) fn drops_silently(&self, listen: &Listen) -> bool {
        let situation = self.situation(listen, &self.rules.snapshot());
        policy::disabled_http(&situation) == Some(HttpDisabled::Close)
    }

    fn situation(&self, listen: &Listen, rules: &Rules) -> Situation {
        Situation {
            api: self.config.api,
            serves: listen.serves,
            tls: listen.tls,
            plain_http: rules.plain_http,
            http_disabled: listen.http_disabled,
            password: match rules.password {
                Password::Unset => PasswordKind::Unset,
                Password::Off => PasswordKind::Off,
                Password::Locked => PasswordKind::Locked,
                Password::Set(_) => PasswordKind::Set,
            },
        }
    }

    /// Applies the policy, and checks credentials if it requires them; an error without a response if that blocks.
    fn authorize(
        &self,
        situation: &Situation,
        rules: &Rules,
        area: Area,
        head: &RequestHead,
        peer: IpAddr,
        may_wait: bool,
    ) -> Result<Authorized, Option<LocalResponse>> {
        let expected = match (policy::required_access(situation, area), &rules.password) {
            (Access::Open, _) => return Ok(Authorized { by_password: false }),
            (Access::Basic(PasswordSource::Default), _) => Expected::Default,
            (Access::Basic(PasswordSource::Stored), Password::Set(hash)) => Expected::Stored(hash),
            (Access::Basic(_), _) => Expected::Nothing,
        };
        let header = head.fields.first("authorization"); // one at most, see `validate`
        match self.authenticator.check(header, &expected, peer, Instant::now(), may_wait) {
            Outcome::MustHash => Err(None),
            Outcome::Accepted { first } => {
                if first {
                    self.log.security(format_args!("{peer}: admin authenticated"));
                }
                Ok(Authorized { by_password: true })
            }
            Outcome::Rejected => {
                if header.is_some() {
                    self.log.security(format_args!("{peer}: authentication failed"));
                }
                Err(Some(LocalResponse::challenge(area, situation.api)))
            }
            Outcome::RateLimited(seconds) => {
                let reason = "too many wrong passwords from this address, wait before the next";
                let response = LocalResponse::error(None, 429, reason);
                Err(Some(response.with("Retry-After", seconds.to_string())))
            }
            Outcome::Busy => {
                Err(Some(LocalResponse::busy("too many passwords are being checked, retry later")))
            }
        }
    }

    /// The redirect target for plain HTTP: the path over HTTPS (M2-13).
    fn https_location(&self, connection: &Connection, listen: &Listen, target: &Target) -> String {
        let host = target.host_name().map_or_else(
            || match connection.stream.tcp().local_addr().map(|a| a.ip().to_canonical()) {
                Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
                Ok(IpAddr::V4(v4)) => v4.to_string(),
                Err(_) => "localhost".to_owned(),
            },
            str::to_owned,
        );
        let port = match self.config.https_port {
            443 => String::new(),
            port => format!(":{port}"),
        };
        let prefix =
            if listen.serves == crate::config::Serves::Monitoring { "/monitor" } else { "" };
        format!("https://{host}{port}{prefix}{}", target.path_and_query())
    }
}

/// Checks the head and parses its target and length.
fn validate(head: &RequestHead) -> Result<(Target, Length), Error> {
    if head.method == "CONNECT" && !head.target.starts_with('/') {
        return Err(Error {
            status: 405,
            reason: "CONNECT is not supported: this is not a forward proxy",
        });
    }
    if head.fields.all("authorization").nth(1).is_some() {
        return Err(Error::bad_request("the request has two Authorization fields"));
    }
    let length = body::of_request(head)?;
    let target = Target::of(head)?;
    let mut expectations = head.fields.all("expect");
    let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if !expectations.all(known) {
        return Err(Error { status: 417, reason: "only Expect: 100-continue is supported" });
    }
    Ok((target, length))
}

/// True if the client wants to send more requests on this connection (RFC 9112 section 9.3).
///
/// A client of HTTP/1.0 sends `keep-alive` for that. A proxy that does not know `Connection` forwards it, and would
/// wait for a close that never comes (appendix C.2.2); so `keep-alive` is ignored if a proxy has added `Via`.
fn is_persistent(head: &RequestHead) -> bool {
    if head.method == "CONNECT" {
        return false; // what follows may not be HTTP
    }
    let says = |option| head.fields.lists("connection", option);
    let http_1_0 = head.minor == 0;
    !says("close") && (!http_1_0 || (says("keep-alive") && head.fields.first("via").is_none()))
}

/// True for a WebSocket handshake of RFC 6455 section 4.1, as far as a proxy needs to know.
fn is_websocket(head: &RequestHead, length: Length) -> bool {
    head.method == "GET"
        && head.minor == 1
        && length == Length::Exact(0)
        && head.fields.lists("connection", "upgrade")
        && head.fields.lists("upgrade", "websocket")
}

/// True if the announced length exceeds the ceiling; the service counts a chunked body.
fn is_too_large(length: Length, route: &Route) -> bool {
    matches!((length, route.body_ceiling), (Length::Exact(bytes), Some(ceiling)) if bytes > ceiling)
}
