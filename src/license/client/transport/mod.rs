//! One request to the license service over plain HTTP, and the reason if it fails.
//!
//! In: time limits, the proxy, what counts as an answer of the license service. Out: the body, which is
//! sealed before, so that it can't be read or changed in transit. The environment is ignored: only a proxy
//! that the administrator set is used.

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

/// Time limit for resolving the name, and for connecting.
const CONNECT: Duration = Duration::from_secs(10);

/// Time limit for the whole answer, even if the request has to be sent several times.
pub(crate) const TOTAL: Duration = Duration::from_secs(30);

/// Largest answer in bytes.
const LARGEST: u64 = 64 << 10;

/// Largest head of an answer in bytes.
const LARGEST_HEAD: usize = 16 << 10;

/// Buffer for the head of a request; a URL and a password are far shorter.
const REQUEST_HEAD: usize = 16 << 10;

/// The URL of the license service, and the proxy to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// `http://host[:port]/…/`, from the settings.
    pub(crate) authority_url: String,
    /// The proxy that the administrator set.
    pub(crate) proxy: Option<Proxy>,
}

/// A JSON answer that is not authenticated yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// 200 if the service could open the request.
    pub(crate) status: u16,
    /// At most 64 KiB.
    pub(crate) body: Vec<u8>,
}

impl Route {
    /// Sends `body` and waits at most `budget` in all, even if the answer arrives slowly.
    ///
    /// # Errors
    /// What failed, and whether the service may have received the request nevertheless.
    pub(crate) fn ask(&self, body: &[u8], budget: Duration) -> Result<Reply, TransportError> {
        let connected = Arc::new(AtomicBool::new(false));
        let agent = self.agent(&connected, budget);
        let mut request = agent
            .post(format!("{}{}", self.authority_url.trim_end_matches('/'), wire::PATH))
            .header("Content-Type", "application/json")
            .header("Cache-Control", "no-store")
            // Without it the server may choose any coding (RFC 9110 section 12.5.3); none is supported.
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
        let others = challenge::without_basic(response.headers().get_all("Proxy-Authenticate"));
        // tinyproxy answers 401 to a wrong password; the license service never does.
        if status == 407 || status == 401 && self.proxy.is_some() {
            return Err(TransportError::proxy_auth(self, status, others));
        }
        let read = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        self.check_response(status, read.map_err(|error| failed(&error))?)
    }

    /// The error for an answer that turned out not to come from the license service.
    pub(crate) fn wrong_server(&self, reply: &Reply) -> TransportError {
        TransportError::wrong_server(self, reply.status, &reply.body)
    }

    fn agent(&self, connected: &Arc<AtomicBool>, budget: Duration) -> Agent {
        let config = Agent::config_builder()
            .proxy(None) // the default would read the environment
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

    /// Accepts only a JSON object; a login page or an error page of a proxy is not the license service.
    fn check_response(&self, status: u16, body: Vec<u8>) -> Result<Reply, TransportError> {
        let is_json = serde_json::from_slice::<serde_json::Value>(&body)
            .is_ok_and(|value| value.get("v").is_some());
        match status {
            200 | 422 if is_json => Ok(Reply { status, body }),
            _ => Err(TransportError::wrong_server(self, status, &body)),
        }
    }

    /// The license service, for a message.
    fn service_name(&self) -> String {
        format!("the license service at {}", self.host())
    }

    fn host(&self) -> &str {
        let host = self.authority_url.trim_start_matches("http://");
        host.split('/').next().unwrap_or(host)
    }
}

/// The time limit that was exceeded, for a message.
fn budget(timeout: Timeout) -> (&'static str, u64) {
    match timeout {
        Timeout::Resolve => ("looking up its name", CONNECT.as_secs()),
        Timeout::Connect => ("connecting", CONNECT.as_secs()),
        _ => ("the whole call", TOTAL.as_secs()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
