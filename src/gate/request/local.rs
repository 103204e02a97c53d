//! Answers of our own, and their way to the client.

use std::borrow::Cow;

use super::access_log::Record;
use super::handler::Asked;
use super::response::{Reply, persistence};
use super::router::Route;
use crate::config::Listen;
use crate::gate::connection::{Action, Answered, Connection, State, Then};
use crate::gate::limits::permits::Kind;
use crate::gate::proxy::exchange::ExchangeEnd;
use crate::gate::{Gate, now};
use crate::http::body::Length;
use crate::http::head::{Malformed, RequestHead};
use crate::http::target::Target;
use crate::management::{InlineRequest, InlineResponse};

impl Gate {
    /// The answer to a request that has been let in, where it is in our memory.
    pub(crate) fn try_local(
        &self,
        connection: &Connection,
        listen: &Listen,
        asked: &Asked,
        route: &Route,
    ) -> Option<InlineResponse> {
        let head_only = asked.head.method == "HEAD";
        if !route.area.is_own()
            || !(head_only || asked.head.method == "GET")
            || asked.length != Length::Exact(0)
        {
            return None;
        }
        let path = match route.prefix {
            "" => Cow::Borrowed(asked.target.path.as_str()),
            prefix => Cow::Owned(format!("{prefix}{}", asked.target.path)),
        };
        (self.at_once)(&InlineRequest {
            head_only,
            path: &path,
            query: asked.target.query.as_deref().unwrap_or_default(),
            peer: connection.peer.ip().to_canonical(),
            tls: listen.tls,
            connection: persistence(asked.close, asked.head.minor),
        })
    }

    pub(crate) fn refuse_malformed(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        malformed: Malformed,
    ) {
        if self.is_silent(listen) {
            connection.hang_up();
            return;
        }
        let head_only = connection.head.asks_for_head();
        let bytes = Reply::malformed(malformed).to_bytes(head_only, Some("close"), &now());
        connection.answer(bytes, Then::HangUp, None);
    }

    /// `http://` typed where `https://` belongs.
    pub(crate) fn answer_plain_http(&self, connection: &mut Connection, listen: &Listen) {
        connection.stream.drop_tls();
        let reason = format!("port {} speaks HTTPS: use https://", listen.address.port());
        let reply = Reply::error(None, 400, &reason);
        connection.answer(reply.to_bytes(false, Some("close"), &now()), Then::HangUp, None);
    }

    pub(crate) fn reply(
        &self,
        connection: &mut Connection,
        head: &RequestHead,
        reply: &Reply,
        close: bool,
    ) {
        let word = persistence(close, head.minor);
        let bytes = reply.to_bytes(head.method == "HEAD", word, &now());
        connection.answer(bytes, if close { Then::HangUp } else { Then::NextRequest }, None);
    }

    /// Sends what can be sent of an answer of our own.
    pub(crate) fn deliver(
        &self,
        connection: &mut Connection,
        mut answered: Answered,
    ) -> Option<Action> {
        match connection.send(&mut answered) {
            Ok(true) => {}
            Ok(false) => {
                connection.state = State::Responding(answered);
                return Some(Action::Wait);
            }
            Err(_) => return Some(Action::Close),
        }
        match answered.then {
            _ if self.is_draining() => connection.hang_up(),
            Then::HangUp => connection.hang_up(),
            Then::NextRequest => connection.expect_request(),
            Then::FirstWords => connection.expect_first_words(),
        }
        None
    }

    /// There is no place or no thread left for what `connection` asks; `kind` says for whom, if that is known.
    pub(crate) fn reject_busy(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        kind: Option<Kind>,
    ) {
        let busy = &self.why_busy(kind);
        match std::mem::replace(&mut connection.state, State::Head) {
            State::Request(head) => {
                let reply = Reply::busy(busy);
                let mut record = Record::new(connection.peer.ip(), listen.tls);
                (record.status, record.sent) = (reply.status, reply.length());
                record.remark.clone_from(busy);
                let path = Target::of(&head).map(|target| target.path).unwrap_or_default();
                self.reply(connection, &head, &reply, true);
                self.put_on_record(&record, &head.method, &path, "");
            }
            State::Connecting(exchange) => {
                let ending = ExchangeEnd::Failed(503, busy.clone());
                // What follows is said by the connection itself.
                let _ = self.finish_exchange(connection, *exchange, ending);
            }
            phase => connection.state = phase,
        }
    }

    fn why_busy(&self, kind: Option<Kind>) -> String {
        if let Some(Kind::Service(number)) = kind
            && let Some(service) = self.config.services.get(number)
        {
            let (name, held) = (&service.name, self.places.held(number));
            return format!(
                "{name} has {held} requests waiting, and there is no room for more, try again soon"
            );
        }
        "too many others wait, try again soon".to_owned()
    }
}
