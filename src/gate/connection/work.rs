//! Work that blocks: what a thread of its own does for a connection, and what comes of it.

use std::sync::mpsc::Sender;

use zeroize::Zeroizing;

use crate::config::Listen;
use crate::gate::Gate;
use crate::gate::connection::{Connection, State, Step};
use crate::gate::limits::permits::Class;
use crate::gate::proxy::exchange::{Exchange, ExchangeEnd};
use crate::gate::proxy::start::Start;
use crate::gate::request::basic_auth::Outcome;
use crate::gate::request::handler::UndecidedRequest;
use crate::management::{Call, NetworkResponse};

/// What a request needs that may take seconds.
pub(crate) enum Work {
    /// Hash the password of a request.
    HashPassword(Box<UndecidedRequest>),
    /// Connect to the service of an exchange.
    Connect(Box<Exchange>),
}

/// What has come of [`Work`], with the request it was done for.
pub(crate) enum WorkResult {
    Hashed(Box<UndecidedRequest>, Outcome),
    Connected(Start),
}

/// A call of a handler of the management API. The connection has the other end of the channel.
pub(crate) struct HandlerRun {
    pub(crate) call: Call,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The value of the response's `Connection` field, if it has one.
    pub(crate) persistence: Option<&'static str>,
    pub(crate) response: Sender<NetworkResponse>,
}

impl HandlerRun {
    /// Calls the handler, however long it takes.
    pub(crate) fn run(self, gate: &Gate) {
        let response = gate.management.answer(self.call, self.body, self.persistence);
        let _ = self.response.send(response); // the client may have gone
    }
}

impl Gate {
    /// Does `work`, however long it takes, and hands its result to the connection.
    pub(crate) fn run_work(&self, connection: &mut Connection, work: Work) {
        let result = match work {
            Work::HashPassword(request) => {
                let outcome = self.authenticator.hash(&request.login);
                WorkResult::Hashed(request, outcome)
            }
            Work::Connect(exchange) => WorkResult::Connected(Start::connect(*exchange)),
        };
        let _ = connection.apply(Step::Next(State::Unblocked(result)));
    }

    /// Continues with the result of work.
    pub(crate) fn on_unblocked(
        &self,
        connection: &mut Connection,
        listen: &Listen,
        result: WorkResult,
    ) -> Step {
        match result {
            WorkResult::Hashed(request, outcome) => {
                self.on_hashed(connection, listen, *request, outcome)
            }
            WorkResult::Connected(start) => self.on_start(connection, start),
        }
    }

    /// The sharer of blocking threads that `work` needs: the number of its service, or that of this process.
    pub(crate) fn thread_share(&self, work: &Work) -> usize {
        match work {
            Work::HashPassword(_) => self.own_thread_share(),
            Work::Connect(exchange) => exchange.upstream.number,
        }
    }

    /// The sharer of blocking threads that this process is.
    pub(crate) fn own_thread_share(&self) -> usize {
        self.config.services.len()
    }

    /// Responds with 503 because there is no thread for `work`.
    pub(crate) fn reject_work(&self, connection: &mut Connection, listen: &Listen, work: Work) {
        let step = match work {
            Work::HashPassword(undecided) => {
                self.reject_busy(connection, listen, &undecided.request, None)
            }
            Work::Connect(exchange) => {
                let why = self.busy_reason(Some(Class::Upstream(exchange.upstream.number)));
                self.finish_request(connection, exchange.request, ExchangeEnd::Failed(503, why))
            }
        };
        let _ = connection.apply(step); // a response
    }
}
