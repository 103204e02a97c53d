//! One request: judged, then refused, redirected or forwarded.

use std::net::IpAddr;
use std::time::Instant;

use super::Gate;
use super::connection::{Connection, Next};
use super::credentials::{Expected, Outcome};
use super::forward::{self, Admitted, Buffers, Ending, Exchange};
use super::framing::{self, Length};
use super::head::{Malformed, RequestHead};
use super::policy::{self, Against, Area, Judgement, PasswordKind, Situation};
use super::reply::Reply;
use super::stream::Duplex as _;
use super::target::Target;
use crate::config::{HttpDisabled, Listen};
use crate::security::{Password, Rules};

impl Gate {
    /// One request: judged, then refused, redirected or forwarded.
    pub(super) fn serve(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        head: RequestHead,
        buffers: &mut Buffers,
    ) -> Next {
        let rules = self.rules.snapshot();
        let situation = self.situation(listen, &rules);
        let shut = policy::shut_door(&situation);
        if shut == Some(HttpDisabled::Close) {
            connection.hang_up();
            return Next::Park;
        }
        let (target, length) = match read(&head) {
            Ok(read) => read,
            Err(malformed) => {
                self.reply(connection, &head, &Reply::malformed(malformed), true);
                return Next::Park;
            }
        };
        let close =
            self.is_draining() || head.minor == 0 || head.fields.lists("connection", "close");
        // A body that nobody reads would be taken for the next request.
        let close_unread = close || length != Length::Exact(0);
        if shut == Some(HttpDisabled::Redirect) {
            let location = self.https_location(connection, listen, &target);
            self.reply(connection, &head, &Reply::redirect(&head, &location), close_unread);
            return Next::Park;
        }
        let websocket = is_websocket(&head, length);
        let Some(route) = self.routes.find(listen.serves, &target, websocket) else {
            let missing = Reply::error(None, 404, "there is nothing at this path");
            self.reply(connection, &head, &missing, close_unread);
            return Next::Park;
        };
        let peer = connection.peer.ip().to_canonical();
        let admitted = match self.admit(&situation, &rules, route.area, &head, peer) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.reply(connection, &head, &refusal, close_unread);
                return Next::Park;
            }
        };
        let method_only = head.clone();
        let exchange = Exchange {
            client: &mut connection.stream,
            arrived: &mut connection.head,
            head,
            target: &target,
            route: &route,
            length,
            websocket,
            peer,
            tls: listen.tls,
            close,
            buffers,
        };
        match forward::forward(exchange, &admitted) {
            Ending::KeepAlive => connection.expect_request(),
            Ending::Close => connection.hang_up(),
            Ending::Cut(why) => {
                self.log
                    .info(format_args!("{peer}: {} {}: {why}", method_only.method, target.path));
                // Without an orderly end, so that half an answer is not taken for a whole one.
                let _ = rustix::net::sockopt::set_socket_linger(
                    connection.stream.descriptor(),
                    Some(std::time::Duration::ZERO),
                );
                return Next::Gone;
            }
            Ending::Failed(status, why) => {
                self.log
                    .warn(format_args!("{peer}: {} {}: {why}", method_only.method, target.path));
                let refusal = Reply::error(Some(route.area), status, &why);
                self.reply(connection, &method_only, &refusal, close_unread);
            }
        }
        Next::Park
    }

    pub(super) fn situation(&self, listen: &Listen, rules: &Rules) -> Situation {
        Situation {
            api: self.config.api,
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

    /// Policy, then credentials where it asks for them.
    fn admit(
        &self,
        situation: &Situation,
        rules: &Rules,
        area: Area,
        head: &RequestHead,
        peer: IpAddr,
    ) -> Result<Admitted, Reply> {
        let expected = match (policy::judge(situation, area), &rules.password) {
            (Judgement::Open, _) => return Ok(Admitted { by_password: false }),
            (Judgement::Basic(Against::Default), _) => Expected::Default,
            (Judgement::Basic(Against::Stored), Password::Set(hash)) => Expected::Stored(hash),
            (Judgement::Basic(_), _) => Expected::Nobody,
        };
        let mut sent = head.fields.all("authorization");
        let header = match (sent.next(), sent.next()) {
            (Some(_), Some(_)) => Some(b"".as_slice()), // two of them fit nothing
            (first, _) => first,
        };
        match self.guard.check(header, &expected, peer, Instant::now()) {
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
                let v2_alone = situation.api.v2 && !situation.api.v1;
                Err(Reply::challenge(area, v2_alone))
            }
            Outcome::Wait(seconds) => {
                let reason = "too many wrong passwords from this address, wait before the next";
                Err(Reply::error(None, 429, reason).with("Retry-After", seconds.to_string()))
            }
            Outcome::Busy => {
                let reason = "too many passwords are being checked, try again soon";
                Err(Reply::error(None, 503, reason).with("Retry-After", "1"))
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
    if matches!(head.method.as_str(), "CONNECT" | "TRACE") {
        return Err(Malformed { status: 501, reason: "this method is not served here" });
    }
    let length = framing::of_request(head)?;
    let target = Target::of(head)?;
    let mut expectations = head.fields.all("expect");
    let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if !expectations.all(known) {
        return Err(Malformed { status: 417, reason: "the only expectation met is 100-continue" });
    }
    Ok((target, length))
}

/// The client's half of RFC 6455 section 4.1, as far as a proxy needs it.
fn is_websocket(head: &RequestHead, length: Length) -> bool {
    head.method == "GET"
        && head.minor == 1
        && length == Length::Exact(0)
        && head.fields.lists("connection", "upgrade")
        && head.fields.lists("upgrade", "websocket")
}
