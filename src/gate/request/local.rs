//! Local responses, which the gate sends without a service.

use std::borrow::Cow;

use super::access_log::Record;
use super::handler::ParsedRequest;
use super::response::{LocalResponse, persistence};
use super::router::Route;
use crate::config::Listen;
use crate::gate::connection::{Action, Connection, PendingResponse, State, Then};
use crate::gate::limits::permits::Class;
use crate::gate::proxy::exchange::ExchangeEnd;
use crate::gate::{Gate, now};
use crate::http::Error;
use crate::http::body::Length;
use crate::http::head::RequestHead;
use crate::http::target::Target;
use crate::management::{InlineRequest, InlineResponse};

impl Gate {
    /// The response of the management API to an authorized request, if the API has it in memory.
    pub(crate) fn try_local(
        &self,
        connection: &Connection,
        listen: &Listen,
        request: &ParsedRequest,
        route: &Route,
    ) -> Option<InlineResponse> {
        let head_only = request.head.method == "HEAD";
        if !route.area.is_local()
            || !(head_only || request.head.method == "GET")
            || request.length != Length::Exact(0)
        {
            return None;
        }
        let path = match route.prefix {
            "" => Cow::Borrowed(request.target.path.as_str()),
            prefix => Cow::Owned(format!("{prefix}{}", request.target.path)),
        };
        (self.inline_api)(&InlineRequest {
            head_only,
            path: &path,
            query: request.target.query.as_deref().unwrap_or_default(),
            peer: connection.peer.ip().to_canonical(),
            tls: listen.tls,
            connection: persistence(request.close, request.head.minor),
        })
    }

    pub(crate) fn reject_malformed(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        error: Error,
    ) {
        if self.drops_silently(listen) {
            connection.linger();
            return;
        }
        let head_only = connection.head.is_head_request();
        let bytes = LocalResponse::malformed(error).to_bytes(head_only, Some("close"), &now());
        connection.respond(bytes, Then::Close, None);
    }

    /// Responds to a client that uses `http://` on an HTTPS port.
    pub(crate) fn respond_plain_http(&self, connection: &mut Connection, listen: &Listen) {
        connection.stream.drop_tls();
        let reason = format!("port {} speaks HTTPS: use https://", listen.address.port());
        let response = LocalResponse::error(None, 400, &reason);
        connection.respond(response.to_bytes(false, Some("close"), &now()), Then::Close, None);
    }

    pub(crate) fn respond(
        &self,
        connection: &mut Connection,
        head: &RequestHead,
        response: &LocalResponse,
        close: bool,
    ) {
        let word = persistence(close, head.minor);
        let bytes = response.to_bytes(head.method == "HEAD", word, &now());
        connection.respond(bytes, if close { Then::Close } else { Then::NextRequest }, None);
    }

    /// Sends what the client accepts of a local response.
    pub(crate) fn send_response(
        &self,
        connection: &mut Connection,
        mut response: PendingResponse,
    ) -> Option<Action> {
        match connection.send(&mut response) {
            Ok(true) => {}
            Ok(false) => {
                connection.state = State::Responding(response);
                return Some(Action::Wait);
            }
            Err(_) => return Some(Action::Close),
        }
        match response.then {
            _ if self.is_draining() => connection.linger(),
            Then::Close => connection.linger(),
            Then::NextRequest => connection.expect_request(),
            Then::RejectWebSocket => connection.expect_first_data(),
        }
        None
    }

    /// Responds with 503 because there is no permit or no thread for a request; `class` is its class, if known.
    pub(crate) fn reject_busy(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        class: Option<Class>,
    ) {
        let reason = &self.busy_reason(class);
        match std::mem::replace(&mut connection.state, State::Head) {
            State::Request(head) => {
                let response = LocalResponse::busy(reason);
                let mut record = Record::new(connection.peer.ip(), listen.tls);
                (record.status, record.sent) = (response.status, response.length());
                record.remark.clone_from(reason);
                let path = Target::of(&head).map(|target| target.path).unwrap_or_default();
                self.respond(connection, &head, &response, true);
                self.log_access(&record, &head.method, &path, "");
            }
            State::Connecting(exchange) => {
                let end = ExchangeEnd::Failed(503, reason.clone());
                // The state of the connection says what follows.
                let _ = self.finish_exchange(connection, *exchange, end);
            }
            state => connection.state = state,
        }
    }

    fn busy_reason(&self, class: Option<Class>) -> String {
        if let Some(Class::Upstream(number)) = class
            && let Some(service) = self.config.services.get(number)
        {
            let (name, in_flight) = (&service.name, self.request_limits.in_flight(number));
            return format!("{name} is busy with {in_flight} requests, retry later");
        }
        "server busy, retry later".to_owned()
    }
}
