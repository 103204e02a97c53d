//! Local responses, which the gate sends without a service.

use std::net::IpAddr;
use std::time::Duration;

use super::access_log::Record;
use super::parse::ParsedRequest;
use super::response::{LocalResponse, persistence};
use crate::config::{Listen, Serves};
use crate::gate::connection::{Action, Connection, PendingResponse, State, Step, Then};
use crate::gate::limits::permits::Class;
use crate::gate::{Gate, now};
use crate::http::Error;
use crate::http::head::RequestHead;
use crate::http::target::Target;
use crate::metrics::{Area, Refusal};

impl Gate {
    pub(crate) fn reject_malformed(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        error: Error,
    ) -> State {
        if self.drops_silently(listen) {
            return self.refuse(connection);
        }
        self.metrics.request(Area::Unknown, error.status, Duration::ZERO, (0, 0));
        let head_only = connection.head.is_head_request();
        let mut bytes = LocalResponse::malformed(error).to_bytes(head_only, Some("close"), &now());
        self.hsts.add_to(&mut bytes, connection.stream.is_tls());
        connection.respond(bytes, Then::Close, None)
    }

    /// Closes a connection without a response, because plain HTTP is disabled.
    pub(crate) fn refuse(&self, connection: &mut Connection) -> State {
        self.metrics.refused(Refusal::HttpDisabled);
        connection.linger()
    }

    /// Responds to a client that uses `http://` on an HTTPS port.
    pub(crate) fn respond_plain_http(&self, connection: &mut Connection, listen: &Listen) -> State {
        connection.stream.drop_tls();
        let reason = format!("port {} speaks HTTPS: use https://", listen.address.port());
        let response = LocalResponse::error(None, 400, &reason);
        connection.respond(response.to_bytes(false, Some("close"), &now()), Then::Close, None)
    }

    pub(crate) fn respond(
        &self,
        connection: &mut Connection,
        head: &RequestHead,
        response: &LocalResponse,
        close: bool,
    ) -> State {
        let word = persistence(close, head.minor);
        let mut bytes = response.to_bytes(head.method == "HEAD", word, &now());
        self.hsts.add_to(&mut bytes, connection.stream.is_tls());
        connection.respond(bytes, if close { Then::Close } else { Then::NextRequest }, None)
    }

    /// Sends what the client accepts of a local response.
    pub(crate) fn send_response(
        &self,
        connection: &mut Connection,
        mut response: PendingResponse,
    ) -> Step {
        match connection.send(&mut response) {
            Ok(true) => {}
            Ok(false) => return Step::Pause(State::Responding(response), Action::Wait),
            Err(_) => return Step::Close,
        }
        Step::Next(match response.then {
            _ if self.is_draining() => connection.linger(),
            Then::Close => connection.linger(),
            Then::NextRequest => connection.expect_request(),
            Then::RejectWebSocket => connection.expect_first_data(),
        })
    }

    /// Responds with 503 to an admitted request because all permits of its class are taken.
    pub(crate) fn reject_over_limit(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        class: Class,
    ) {
        if let State::OverLimit(admitted) = std::mem::take(&mut connection.state) {
            let step = self.reject_busy(connection, listen, &admitted.request, Some(class));
            let _ = connection.apply(step); // a response
        }
    }

    /// Responds with 503 because there is no permit or no thread for a request; `class` is its class, if known.
    pub(crate) fn reject_busy(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        request: &ParsedRequest,
        class: Option<Class>,
    ) -> Step {
        let reason = self.busy_reason(class);
        let response = LocalResponse::busy(&reason);
        let mut record = Record::new(connection.client.address, listen.tls);
        (record.status, record.sent) = (response.status, response.length());
        record.area = request.area().into();
        record.remark = reason;
        self.log_access(&record, &request.head.method, &request.target.path, "");
        Step::Next(self.respond(connection, &request.head, &response, true))
    }

    pub(crate) fn busy_reason(&self, class: Option<Class>) -> String {
        if let Some(Class::Upstream(number)) = class
            && let Some(service) = self.config.services.get(number)
        {
            let (name, in_flight) = (&service.name, self.request_limits.in_flight(number));
            return format!("{name} is busy with {in_flight} requests, retry later");
        }
        "server busy, retry later".to_owned()
    }

    /// The redirect target for plain HTTP: the path over HTTPS (M2-13).
    pub(crate) fn https_location(
        &self,
        connection: &Connection,
        listen: &Listen,
        target: &Target,
    ) -> String {
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
        let prefix = if listen.serves == Serves::Monitoring { "/monitor" } else { "" };
        format!("https://{host}{port}{prefix}{}", target.path_and_query())
    }
}
