//! One request: judged, then refused, redirected or forwarded.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::access_log::{Line, Record};
use super::basic_auth::{Expected, Outcome};
use super::license_denied;
use super::policy;
use super::policy::{Against, Area, Judgement, PasswordKind, Situation};
use super::response::Reply;
use super::router::Route;
use crate::config::{HttpDisabled, Listen};
use crate::gate::connection::{Action, Connection, State, Then};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits::permits::Kind;
use crate::gate::proxy::exchange::{Admitted, Exchange, ExchangeEnd};
use crate::gate::{Gate, now};
use crate::http::body;
use crate::http::body::Length;
use crate::http::head::{Malformed, RequestHead};
use crate::http::method;
use crate::http::target::Target;
use crate::security::{Password, Rules};

/// What happens to a request.
enum Decision {
    /// Not a byte, as if nobody were there.
    Silence,
    /// An answer of our own; `close` because a body that nobody reads would be taken for a request.
    Answer {
        reply: Reply,
        close: bool,
    },
    /// There is no license for it.
    RefuseJob,
    /// The same, said in a stream that is accepted for that, with these bytes.
    RefuseStream(Vec<u8>),
    Forward(Admitted),
    /// To know takes waiting: the password has to be hashed.
    Detach,
}

/// What is known of a request that could be read.
pub(crate) struct Asked {
    pub(crate) head: RequestHead,
    pub(crate) target: Target,
    pub(crate) length: Length,
    websocket: bool,
    pub(crate) close: bool,
}

impl Gate {
    /// One request: judged, then refused, redirected or let in.
    pub(crate) fn serve(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        head: RequestHead,
        may_wait: bool,
    ) -> Option<Action> {
        let mut record = Record::new(connection.peer.ip(), listen.tls);
        let asked = match read(&head) {
            Ok((target, length)) => self.understand(head, target, length),
            Err(malformed) => {
                if self.is_silent(listen) {
                    connection.hang_up();
                } else {
                    record.status = malformed.status;
                    self.reply(connection, &head, &Reply::malformed(malformed), true);
                }
                self.put_on_record(&record, &head.method, "", "");
                return None;
            }
        };
        let (method, path) = (asked.head.method.as_str(), asked.target.path.as_str());
        let route = self.routes.find(listen.serves, &asked.target, asked.websocket);
        match self.decide(connection, listen, &asked, route.as_ref(), may_wait) {
            Decision::Detach => {
                connection.state = State::Request(asked.head);
                return Some(Action::Block);
            }
            Decision::Forward(admitted) => {
                let Some(route) = route else { return Some(Action::Close) }; // forwards nothing without
                let kind = Kind::of(&route, asked.length);
                let Some(place) = self.places.take(kind) else {
                    connection.state = State::Request(asked.head);
                    return Some(Action::OverLimit(kind));
                };
                if let Some(given) = self.try_local(connection, listen, &asked, &route) {
                    (record.status, record.sent) = (given.status, given.length);
                    let then = if asked.close { Then::HangUp } else { Then::NextRequest };
                    connection.answer(given.bytes, then, Some((kind, place)));
                    self.put_on_record(&record, method, path, &route.service.name);
                    return None;
                }
                connection.state = State::Connecting(Box::new(Exchange {
                    head: asked.head,
                    target: asked.target,
                    route,
                    length: asked.length,
                    peer: connection.peer.ip().to_canonical(),
                    tls: listen.tls,
                    close: asked.close,
                    record,
                    admitted,
                    needs_fresh: false,
                    _place: place,
                }));
                return None;
            }
            Decision::Silence => connection.hang_up(),
            Decision::Answer { reply, close } => {
                (record.status, record.sent) = (reply.status, reply.length());
                self.reply(connection, &asked.head, &reply, close);
                connection.penalize();
            }
            Decision::RefuseJob => {
                let reply = license_denied::of_job();
                (record.status, record.sent) = (reply.status, reply.length());
                license_denied::REMARK.clone_into(&mut record.remark);
                let close = asked.close || asked.length != Length::Exact(0);
                self.reply(connection, &asked.head, &reply, close);
            }
            Decision::RefuseStream(acceptance) => {
                record.status = 101;
                license_denied::REMARK.clone_into(&mut record.remark);
                connection.answer(acceptance, Then::FirstWords, None);
            }
        }
        self.put_on_record(&record, method, path, "");
        None
    }

    /// An exchange has ended: what its client gets to know, and the log.
    pub(crate) fn finish_exchange(
        &self,
        connection: &mut Connection,
        exchange: Exchange,
        ending: ExchangeEnd,
    ) -> Option<Action> {
        let Exchange { head, target, route, length, close, mut record, .. } = exchange;
        let mut next = None;
        match ending {
            ExchangeEnd::KeepAlive => connection.expect_request(),
            ExchangeEnd::Close => connection.hang_up(),
            ExchangeEnd::Cut(why) => {
                record.remark = why;
                // Without an orderly end, so that half an answer is not taken for a whole one.
                let _ = set_socket_linger(connection.stream.descriptor(), Some(Duration::ZERO));
                next = Some(Action::Close);
            }
            ExchangeEnd::Failed(status, why) => {
                let mut refusal = Reply::error(Some(route.area), status, &why);
                (record.status, record.sent) = (status, refusal.length());
                if status == 503 {
                    refusal = refusal.with("Retry-After", "1");
                }
                if !self.config.access_log {
                    self.log.warn(format_args!("{}: {why}", target.path));
                }
                record.remark = why;
                // Whether its body was read to the end is not known, so nothing may follow it.
                self.reply(connection, &head, &refusal, close || length != Length::Exact(0));
            }
        }
        self.put_on_record(&record, &head.method, &target.path, &route.service.name);
        next
    }

    /// One line in the log for one request.
    pub(crate) fn put_on_record(&self, record: &Record, method: &str, path: &str, service: &str) {
        if self.config.access_log {
            self.log.access(&Line { record, method, path, service });
        }
    }

    /// What the head says of the connection.
    fn understand(&self, head: RequestHead, target: Target, length: Length) -> Asked {
        Asked {
            websocket: is_websocket(&head, length),
            close: self.is_draining() || !is_persistent(&head),
            target,
            length,
            head,
        }
    }

    /// The order of the rules: door, path, credentials, license.
    fn decide(
        &self,
        connection: &Connection,
        listen: &Listen,
        asked: &Asked,
        route: Option<&Route>,
        may_wait: bool,
    ) -> Decision {
        let rules = self.rules.snapshot();
        let situation = self.situation(listen, &rules);
        let close = asked.close || asked.length != Length::Exact(0);
        let reply = match (policy::shut_door(&situation), route) {
            (Some(HttpDisabled::Close), _) => return Decision::Silence,
            (Some(HttpDisabled::Redirect), _) => {
                let location = self.https_location(connection, listen, &asked.target);
                Reply::redirect(&asked.head, &location)
            }
            (None, Some(route))
                if policy::is_foreign(
                    &asked.head,
                    asked.target.authority.as_deref(),
                    route.area,
                ) =>
            {
                let peer = connection.peer.ip().to_canonical();
                self.log
                    .security(format_args!("{peer}: a change asked for by another site refused"));
                Reply::error(None, 403, "another site asked the browser for this change")
            }
            (None, Some(route)) if is_too_large(asked.length, route) => {
                Reply::too_large(&asked.target.path)
            }
            (None, route) => {
                let peer = connection.peer.ip().to_canonical();
                let area = route.map_or(Area::Nowhere, |route| route.area);
                let admitted = self.admit(&situation, &rules, area, &asked.head, peer, may_wait);
                match (admitted, route) {
                    (Ok(_), None) => Reply::error(None, 404, "there is nothing at this path"),
                    (Ok(_), Some(_)) if method::ends_here(&asked.head.method) && !area.is_own() => {
                        Reply::not_forwarded(area)
                    }
                    (Ok(admitted), Some(route)) if self.is_entitled(asked, route) => {
                        return Decision::Forward(admitted);
                    }
                    (Ok(_), Some(_)) if asked.websocket => {
                        return license_denied::acceptance(&asked.head, &now())
                            .map_or(Decision::RefuseJob, Decision::RefuseStream);
                    }
                    (Ok(_), Some(_)) => return Decision::RefuseJob,
                    (Err(Some(refusal)), _) => refusal,
                    (Err(None), _) => return Decision::Detach,
                }
            }
        };
        Decision::Answer { reply, close }
    }

    /// What the license says at this moment; nobody is asked and nothing is waited for.
    fn is_entitled(&self, asked: &Asked, route: &Route) -> bool {
        let (head, target, licensed) = (&asked.head, &asked.target, &route.service.licensed);
        !policy::needs_license(route.area, head, target, asked.websocket, licensed)
            || self.license.snapshot().may_transcribe
    }

    /// True where a client gets not even an error.
    pub(crate) fn is_silent(&self, listen: &Listen) -> bool {
        let situation = self.situation(listen, &self.rules.snapshot());
        policy::shut_door(&situation) == Some(HttpDisabled::Close)
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

    /// Policy, then credentials where it asks for them; an error without an answer if it takes waiting.
    fn admit(
        &self,
        situation: &Situation,
        rules: &Rules,
        area: Area,
        head: &RequestHead,
        peer: IpAddr,
        may_wait: bool,
    ) -> Result<Admitted, Option<Reply>> {
        let expected = match (policy::judge(situation, area), &rules.password) {
            (Judgement::Open, _) => return Ok(Admitted { by_password: false }),
            (Judgement::Basic(Against::Default), _) => Expected::Default,
            (Judgement::Basic(Against::Stored), Password::Set(hash)) => Expected::Stored(hash),
            (Judgement::Basic(_), _) => Expected::Nobody,
        };
        let header = head.fields.first("authorization"); // there is one at most, see `read`
        match self.guard.check(header, &expected, peer, Instant::now(), may_wait) {
            Outcome::MustHash => Err(None),
            Outcome::Fit { first } => {
                if first {
                    self.log.security(format_args!("{peer}: admin let in"));
                }
                Ok(Admitted { by_password: true })
            }
            Outcome::Refused => {
                if header.is_some() {
                    self.log.security(format_args!("{peer}: credentials refused"));
                }
                Err(Some(Reply::challenge(area, situation.api)))
            }
            Outcome::Wait(seconds) => {
                let reason = "too many wrong passwords from this address, wait before the next";
                let reply = Reply::error(None, 429, reason);
                Err(Some(reply.with("Retry-After", seconds.to_string())))
            }
            Outcome::Busy => {
                Err(Some(Reply::busy("too many passwords are being checked, try again soon")))
            }
        }
    }

    /// Where plain HTTP sends its clients: the same path over HTTPS (v2 manual, "Disabling HTTP Access").
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

/// What the head says beyond its fields, or why it is refused.
fn read(head: &RequestHead) -> Result<(Target, Length), Malformed> {
    if head.method == "CONNECT" && !head.target.starts_with('/') {
        return Err(Malformed {
            status: 405,
            reason: "this is not a proxy: it connects to nobody",
        });
    }
    if head.fields.all("authorization").nth(1).is_some() {
        return Err(Malformed::bad("the request has two Authorization fields"));
    }
    let length = body::of_request(head)?;
    let target = Target::of(head)?;
    let mut expectations = head.fields.all("expect");
    let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if !expectations.all(known) {
        return Err(Malformed { status: 417, reason: "the only expectation met is 100-continue" });
    }
    Ok((target, length))
}

/// The client wants to ask more on this connection (RFC 9112 section 9.3).
///
/// One of HTTP/1.0 says so by `keep-alive`. A proxy that knows no `Connection` hands that on, and would wait
/// for an end that never comes (appendix C.2.2); so nobody is believed who tells of a proxy.
fn is_persistent(head: &RequestHead) -> bool {
    if head.method == "CONNECT" {
        return false; // who knows what its client says next
    }
    let says = |option| head.fields.lists("connection", option);
    let old = head.minor == 0;
    !says("close") && (!old || (says("keep-alive") && head.fields.first("via").is_none()))
}

/// The client's half of RFC 6455 section 4.1, as far as a proxy needs it.
fn is_websocket(head: &RequestHead, length: Length) -> bool {
    head.method == "GET"
        && head.minor == 1
        && length == Length::Exact(0)
        && head.fields.lists("connection", "upgrade")
        && head.fields.lists("upgrade", "websocket")
}

/// Known before a byte of the body has been read; in chunks, the service counts.
fn is_too_large(length: Length, route: &Route) -> bool {
    matches!((length, route.body_ceiling), (Length::Exact(bytes), Some(ceiling)) if bytes > ceiling)
}
