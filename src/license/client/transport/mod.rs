//! One question to the license service over plain HTTP, and which hop failed if it fails.
//!
//! In: time budgets, the proxy, what counts as an answer of our service. Out: what is asked; the body
//! is sealed before it comes here, so that nothing on the way can read or change it. Nothing is taken
//! from the environment: a proxy is used if the administrator set one, and no other.

mod challenge;

mod error;

mod absolute_form;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ureq::unversioned::transport::{Connector as _, TcpConnector};
use ureq::{Agent, Timeout};

use crate::license::client::transport::absolute_form::{AbsoluteFormConnector, ProxyResolver};
pub(crate) use crate::license::client::transport::error::{ErrorKind, TransportError};

use super::proxy::Proxy;
use crate::license::protocol::wire;

/// Until a connection stands, its name looked up.
const CONNECT: Duration = Duration::from_secs(10);

/// Until the whole answer is there, however many times a question has to be put.
pub(crate) const TOTAL: Duration = Duration::from_secs(30);

/// Largest answer in bytes.
const LARGEST: u64 = 64 << 10;

/// Largest head of an answer in bytes.
const LARGEST_HEAD: usize = 16 << 10;

/// Room for the head of a request; a URL and a password are far shorter.
const REQUEST_HEAD: usize = 16 << 10;

/// Who is asked, and on which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// `http://host[:port]/…/`, from the settings.
    pub(crate) authority_url: String,
    /// From the administrator.
    pub(crate) proxy: Option<Proxy>,
}

/// What came back: JSON, whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// 200 if the service could open the question.
    pub(crate) status: u16,
    /// At most 64 KiB.
    pub(crate) body: Vec<u8>,
}

impl Route {
    /// Sends `body` and waits no longer than `budget` in all, however slowly the answer drips in.
    ///
    /// # Errors
    /// Which hop failed, and whether the service may have heard the question all the same.
    pub(crate) fn ask(&self, body: &[u8], budget: Duration) -> Result<Reply, TransportError> {
        let connected = Arc::new(AtomicBool::new(false));
        let agent = self.agent(&connected, budget);
        let mut request = agent
            .post(format!("{}{}", self.authority_url.trim_end_matches('/'), wire::PATH))
            .header("Content-Type", "application/json")
            .header("Cache-Control", "no-store")
            // Without it any coding may be chosen (RFC 9110 section 12.5.3), and we read none.
            .header("Accept-Encoding", "identity")
            .header("User-Agent", "applianced");
        if let Some(credentials) = self.proxy.as_ref().and_then(Proxy::credentials) {
            request = request.header("Proxy-Authorization", credentials.as_str());
        }
        let failed = |error: &ureq::Error| {
            TransportError::new(self, error, connected.load(Ordering::Relaxed))
        };
        let mut response = request.send(body).map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let offered = challenge::schemes(response.headers().get_all("Proxy-Authenticate"));
        // 401 is what tinyproxy says to a wrong password; our service never does.
        if status == 407 || status == 401 && self.proxy.is_some() {
            return Err(TransportError::proxy_auth(self, status, &offered));
        }
        let read = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        self.check_response(status, read.map_err(|error| failed(&error))?)
    }

    /// The same for an answer that only turned out later to be somebody else's.
    pub(crate) fn wrong_server(&self, reply: &Reply) -> TransportError {
        TransportError::wrong_server(self, reply.status, &reply.body)
    }

    fn agent(&self, connected: &Arc<AtomicBool>, budget: Duration) -> Agent {
        let config = Agent::config_builder()
            .proxy(None) // the default would look into the environment
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .max_response_header_size(LARGEST_HEAD)
            .output_buffer_size(REQUEST_HEAD)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(budget))
            .build();
        let line = AbsoluteFormConnector {
            absolute: self.proxy.is_some(),
            connected: Arc::clone(connected),
        };
        let connector = ().chain(TcpConnector::default()).chain(line);
        let resolver = ProxyResolver { proxy: self.proxy.as_ref().map(Proxy::address) };
        Agent::with_parts(config, connector, resolver)
    }

    /// Only an object of JSON is ours; a login page or a proxy's own words are not.
    fn check_response(&self, status: u16, body: Vec<u8>) -> Result<Reply, TransportError> {
        let is_json = serde_json::from_slice::<serde_json::Value>(&body)
            .is_ok_and(|value| value.get("v").is_some());
        match status {
            200 | 422 if is_json => Ok(Reply { status, body }),
            _ => Err(TransportError::wrong_server(self, status, &body)),
        }
    }

    /// What a person calls the other end.
    fn service_name(&self) -> String {
        format!("the license service at {}", self.host())
    }

    fn host(&self) -> &str {
        let host = self.authority_url.trim_start_matches("http://");
        host.split('/').next().unwrap_or(host)
    }
}

/// Which budget ran out, for a sentence.
fn budget(timeout: Timeout) -> (&'static str, u64) {
    match timeout {
        Timeout::Resolve => ("looking up its name", CONNECT.as_secs()),
        Timeout::Connect => ("connecting", CONNECT.as_secs()),
        _ => ("the whole call", TOTAL.as_secs()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
