//! Judges one request: rejects, redirects, answers or forwards it.
//!
//! A request is judged once, with the rules of that moment. If its password must be hashed, the verdict waits for the
//! outcome, and is completed with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::access_log::Record;
use super::basic_auth::{Check, Expected, Outcome, PendingLogin};
use super::job_token;
use super::license_denied;
use super::parse::{ParsedRequest, validate};
use super::policy::{self, Access, PasswordKind, PasswordSource, Situation};
use super::response::LocalResponse;
use super::router::Route;
use crate::config::{HttpDisabled, Listen};
use crate::gate::connection::work::Work;
use crate::gate::connection::{Action, Connection, State, Step, Then};
use crate::gate::io::duplex::Duplex as _;
use crate::gate::limits::permits::Class;
use crate::gate::proxy::exchange::{ActiveRequest, Authorized, Exchange, ExchangeEnd};
use crate::gate::proxy::start::Start;
use crate::gate::{Gate, now};
use crate::http::body::Length;
use crate::http::head::RequestHead;
use crate::http::method;
use crate::security::{Password, Rules};

/// The verdict on a request.
pub(super) enum Verdict {
    /// Close without a response.
    Drop,
    /// Send a local response.
    Respond(LocalResponse),
    /// Respond that there is no valid license.
    DenyLicense,
    /// Accept the WebSocket with these bytes, and explain in it that there is no valid license.
    DenyLicenseWebSocket(Vec<u8>),
    Forward(Route, Authorized),
}

/// A request that may be forwarded when it has a permit.
pub(crate) struct AdmittedRequest {
    pub(crate) request: ParsedRequest,
    route: Route,
    authorized: Authorized,
}

/// A request whose verdict waits for its password to be hashed.
pub(crate) struct UndecidedRequest {
    pub(crate) request: ParsedRequest,
    pub(crate) login: PendingLogin,
    /// The rules that it was judged by.
    rules: Arc<Rules>,
}

impl Gate {
    /// Judges the request of `head`, and begins what the verdict says.
    pub(crate) fn judge(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        head: RequestHead,
    ) -> Step {
        self.identify(connection, listen, &head);
        match validate(&head) {
            Ok((target, length)) => {
                let request = self.parse(listen, head, target, length);
                self.judge_parsed(connection, listen, request)
            }
            Err(_) if self.drops_silently(listen) => {
                let record = Record::new(connection.client.address, listen.tls);
                self.log_access(&record, &head.method, "", "");
                Step::Next(self.refuse(connection))
            }
            Err(error) => {
                let mut record = Record::new(connection.client.address, listen.tls);
                record.status = error.status;
                self.log_access(&record, &head.method, "", "");
                Step::Next(self.respond(connection, &head, &LocalResponse::malformed(error), true))
            }
        }
    }

    fn judge_parsed(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        request: ParsedRequest,
    ) -> Step {
        let rules = self.rules.snapshot();
        match self.decide(connection, listen, &request, &rules) {
            Ok(verdict) => self.execute(connection, listen, request, verdict),
            Err(login) => {
                let undecided = UndecidedRequest { request, login: *login, rules };
                Step::Block(Work::HashPassword(Box::new(undecided)))
            }
        }
    }

    /// Completes the verdict on a request with the outcome of hashing its password.
    ///
    /// If other rules have been published since, the outcome does not count, whatever it is, and the request is judged
    /// by the new ones: nobody gets in with a password that was changed, or over plain HTTP that was disabled, while
    /// it was hashed.
    pub(crate) fn on_hashed(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        undecided: UndecidedRequest,
        outcome: Outcome,
    ) -> Step {
        let UndecidedRequest { mut request, rules, .. } = undecided;
        request.close |= self.is_draining();
        if !Arc::ptr_eq(&rules, &self.rules.snapshot()) {
            return self.judge_parsed(connection, listen, request);
        }
        let verdict = self.decide_after_login(connection, &request, outcome);
        self.execute(connection, listen, request, verdict)
    }

    /// Begins what a complete verdict says.
    fn execute(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        request: ParsedRequest,
        verdict: Verdict,
    ) -> Step {
        let mut record = Record::new(connection.client.address, listen.tls);
        record.area = request.area().into();
        let close = request.close || request.length != Length::Exact(0);
        let state = match verdict {
            Verdict::Forward(route, authorized) => {
                let admitted = AdmittedRequest { request, route, authorized };
                return self.forward(connection, listen, admitted);
            }
            Verdict::Drop => self.refuse(connection),
            Verdict::Respond(response) => {
                (record.status, record.sent) = (response.status, response.length());
                connection.penalize();
                self.respond(connection, &request.head, &response, close)
            }
            Verdict::DenyLicense => {
                let response = license_denied::batch_response();
                (record.status, record.sent) = (response.status, response.length());
                license_denied::REMARK.clone_into(&mut record.remark);
                self.respond(connection, &request.head, &response, close)
            }
            Verdict::DenyLicenseWebSocket(acceptance) => {
                record.status = 101;
                license_denied::REMARK.clone_into(&mut record.remark);
                connection.respond(acceptance, Then::RejectWebSocket, None)
            }
        };
        self.log_access(&record, &request.head.method, &request.target.path, "");
        Step::Next(state)
    }

    /// Takes the permit of an admitted request, and calls the management API or begins its exchange.
    pub(crate) fn forward(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        admitted: AdmittedRequest,
    ) -> Step {
        let class = Class::of(&admitted.route, admitted.request.length);
        let Some(permit) = self.request_limits.take(class) else {
            return Step::Pause(State::OverLimit(Box::new(admitted)), Action::OverLimit(class));
        };
        let AdmittedRequest { request, route, authorized } = admitted;
        let upstream = route.upstream.clone();
        let mut record = Record::new(connection.client.address, listen.tls);
        record.area = route.area.into();
        let request = ActiveRequest {
            head: request.head,
            target: request.target,
            route,
            length: request.length,
            peer: connection.client.address,
            tls: listen.tls,
            close: request.close,
            record,
            permit,
        };
        let Some(upstream) = upstream else { return self.begin_call(connection, request) };
        let exchange = Exchange { request, upstream, authorized, is_retry: false };
        self.on_start(connection, Start::try_connect(exchange))
    }

    /// Handles the end of a request: the response or close that the client gets, and the access log.
    pub(crate) fn finish_request(
        &self,
        connection: &mut Connection,
        request: ActiveRequest,
        end: ExchangeEnd,
    ) -> Step {
        let ActiveRequest { head, target, route, length, close, mut record, .. } = request;
        let step = match end {
            ExchangeEnd::KeepAlive => Step::Next(connection.expect_request()),
            ExchangeEnd::Close => Step::Next(connection.linger()),
            ExchangeEnd::Abort(why) => {
                record.remark = why;
                // With a reset, so that a truncated response is not taken for a complete one.
                let _ = set_socket_linger(connection.stream.descriptor(), Some(Duration::ZERO));
                Step::Close
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
                let close = close || length != Length::Exact(0);
                Step::Next(self.respond(connection, &head, &response, close))
            }
        };
        self.log_access(&record, &head.method, &target.path, route.service());
        step
    }

    /// Applies the rules in order: address, ACME challenge, plain HTTP, path, credentials, license.
    ///
    /// # Errors
    /// When a password must be hashed, which completes the verdict.
    fn decide(
        &self,
        connection: &Connection,
        listen: &Listen,
        request: &ParsedRequest,
        rules: &Rules,
    ) -> Result<Verdict, Box<PendingLogin>> {
        let situation = self.situation(listen, rules);
        let ParsedRequest { head, target, .. } = request;
        let disabled_http = policy::disabled_http(&situation);
        if !self.may_ask(connection, listen) {
            return Ok(match disabled_http {
                Some(HttpDisabled::Close) => Verdict::Drop,
                _ => Verdict::Respond(LocalResponse::wrong_address(request.area())),
            });
        }
        if let Some(response) = self.key_authorization(listen, head) {
            return Ok(Verdict::Respond(response));
        }
        let peer = connection.client.address;
        Ok(match (disabled_http, &request.route) {
            (Some(HttpDisabled::Close), _) => Verdict::Drop,
            (Some(HttpDisabled::Redirect), _) => {
                let location = self.https_location(connection, listen, target);
                Verdict::Respond(LocalResponse::redirect(head, &location))
            }
            (None, Some(route)) if !self.may_reach(connection, listen, route.area) => {
                Verdict::Respond(LocalResponse::wrong_address(route.area))
            }
            (None, Some(route))
                if policy::is_cross_site(head, target.authority.as_deref(), route.area) =>
            {
                self.log.security_from(peer, "cross-site request refused");
                let reason = "another site asked the browser for this change";
                Verdict::Respond(LocalResponse::error(None, 403, reason))
            }
            (None, Some(route)) if request.is_too_large(route) => {
                Verdict::Respond(LocalResponse::too_large(&target.path))
            }
            (None, _) => {
                let expected = match policy::required_access(&situation, request.area()) {
                    Access::Open if job_token::is_needed(request.area(), &rules.job_token) => {
                        return Ok(self.decide_by_token(request, &rules.job_token, peer));
                    }
                    Access::Open => return Ok(self.decide_authorized(request, Authorized::Openly)),
                    Access::Basic(source) => expected(source, &rules.password),
                };
                match self.authenticator.check(request.login(), &expected, peer, Instant::now()) {
                    Check::Decided(outcome) => {
                        self.decide_after_login(connection, request, outcome)
                    }
                    Check::MustHash(login) => return Err(Box::new(login)),
                }
            }
        })
    }

    /// Applies the rules that follow the check of credentials with this outcome.
    fn decide_after_login(
        &self,
        connection: &Connection,
        request: &ParsedRequest,
        outcome: Outcome,
    ) -> Verdict {
        let peer = connection.client.address;
        self.count_failed_login(request, outcome);
        Verdict::Respond(match outcome {
            Outcome::Accepted { first } => {
                if first {
                    self.log.security_from(peer, "admin authenticated");
                }
                return self.decide_authorized(request, Authorized::ByPassword);
            }
            Outcome::Rejected => {
                if request.login().is_some() {
                    self.log.security_from(peer, "authentication failed");
                }
                LocalResponse::challenge(request.area(), self.config.api)
            }
            Outcome::RateLimited(seconds) => {
                let reason = "too many wrong passwords from this address, wait before the next";
                let response = LocalResponse::error(None, 429, reason);
                response.with("Retry-After", seconds.to_string())
            }
            Outcome::Busy => {
                LocalResponse::busy("too many passwords are being checked, retry later")
            }
        })
    }

    /// Applies the rules for a request that the policy has authorized: path, method, license.
    pub(super) fn decide_authorized(&self, request: &ParsedRequest, by: Authorized) -> Verdict {
        let head = &request.head;
        match &request.route {
            None => {
                let reason = "there is nothing at this path";
                Verdict::Respond(LocalResponse::error(None, 404, reason))
            }
            Some(route) if method::is_never_forwarded(&head.method) && route.upstream.is_some() => {
                Verdict::Respond(LocalResponse::not_forwarded(route.area))
            }
            Some(route) if self.is_entitled(request, route) => Verdict::Forward(route.clone(), by),
            Some(_) if request.websocket => license_denied::acceptance(head, &now())
                .map_or(Verdict::DenyLicense, Verdict::DenyLicenseWebSocket),
            Some(_) => Verdict::DenyLicense,
        }
    }

    /// True if the request needs no license or the current license is valid.
    fn is_entitled(&self, request: &ParsedRequest, route: &Route) -> bool {
        let (head, target) = (&request.head, &request.target);
        let licensed = route.upstream.as_ref().map_or(&[][..], |upstream| &upstream.licensed);
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
}

/// What the credentials of a request are compared with.
fn expected(source: PasswordSource, password: &Password) -> Expected<'_> {
    match (source, password) {
        (PasswordSource::Default, _) => Expected::Default,
        (PasswordSource::Stored, Password::Set(hash)) => Expected::Stored(hash),
        (PasswordSource::Stored | PasswordSource::Damaged, _) => Expected::Nothing,
    }
}
