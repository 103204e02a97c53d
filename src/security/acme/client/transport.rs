//! One HTTPS request to an authority, bounded in time and size.
//!
//! In: which roots are trusted, the proxy, limits. No redirect is followed, and the environment is ignored:
//! only a proxy that the administrator set is used. Out: what the answer means ([`super::Client`]).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs::default_provider;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, ProxyProtocol};

use super::dates;
use super::failure::Route;
use super::problem::AcmeError;
use super::resources::is_base64url;
use super::{Proxy, Server};
use crate::security::pem;
use crate::util::utc;

/// The roots of the system, as Debian, Alpine and others install them.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Time limit for resolving a name, and for connecting.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// Time limit for one request and its whole answer.
pub(super) const TOTAL: Duration = Duration::from_secs(30);

/// Largest head of an answer in bytes.
const LARGEST_HEAD: usize = 16 << 10;

/// Largest nonce in characters.
const LONGEST_NONCE: usize = 512;

/// Largest answer in bytes, where it is JSON.
pub(super) const LARGEST_JSON: u64 = 64 << 10;

/// Largest chain of certificates in bytes.
pub(super) const LARGEST_CHAIN: u64 = 256 << 10;

/// The way to an authority.
pub(super) struct Transport {
    agent: Agent,
    route: Route,
}

/// An answer, whatever its status.
pub(super) struct Reply {
    pub(super) status: u16,
    /// For the next signed request (RFC 8555 section 6.5).
    pub(super) nonce: Option<String>,
    pub(super) location: Option<String>,
    /// At most 7 days.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Transport {
    /// # Errors
    /// The roots or the proxy are not usable.
    pub(super) fn new(server: &Server<'_>, budget: Duration) -> Result<Transport, AcmeError> {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
            .root_certs(roots(server.root)?)
            .build();
        let proxy = server.proxy.as_ref().map(http_proxy).transpose()?;
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .proxy(proxy) // the default would read the environment
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(1)
            .max_response_header_size(LARGEST_HEAD)
            .user_agent("applianced") // RFC 8555 section 6.1 wants one
            .accept_encoding("identity")
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(budget))
            .build()
            .new_agent();
        let proxy = server.proxy.as_ref();
        let route = Route {
            proxy: proxy.map(|proxy| proxy.address.clone()),
            credentials: proxy.is_some_and(|proxy| proxy.credentials.is_some()),
            own_root: server.root.is_some(),
            budget,
        };
        Ok(Transport { agent, route })
    }

    /// # Errors
    /// There is no whole answer.
    pub(super) fn get(&self, url: &str) -> Result<Reply, AcmeError> {
        let request = self.agent.get(url).header("Accept-Language", "en");
        self.reply(url, request.call(), LARGEST_JSON)
    }

    /// # Errors
    /// As [`Transport::get`].
    pub(super) fn head(&self, url: &str) -> Result<Reply, AcmeError> {
        let request = self.agent.head(url).header("Accept-Language", "en");
        self.reply(url, request.call(), LARGEST_JSON)
    }

    /// Sends a signed request.
    ///
    /// # Errors
    /// As [`Transport::get`]; the authority may have received the request.
    pub(super) fn post(
        &self,
        url: &str,
        body: &str,
        accept: &str,
        limit: u64,
    ) -> Result<Reply, AcmeError> {
        let request = self
            .agent
            .post(url)
            .header("Accept-Language", "en")
            .header("Accept", accept)
            .header("Content-Type", "application/jose+json");
        self.reply(url, request.send(body), limit)
    }

    fn reply(
        &self,
        url: &str,
        answer: Result<Response<Body>, ureq::Error>,
        limit: u64,
    ) -> Result<Reply, AcmeError> {
        let failed = |error: ureq::Error| AcmeError::from(self.route.failure(url, &error));
        let mut answer = answer.map_err(failed)?;
        let body = answer.body_mut().with_config().limit(limit).read_to_vec().map_err(failed)?;
        let headers = answer.headers();
        let now = utc::unix_seconds(SystemTime::now());
        // Another nonce than of base64url must be ignored (RFC 8555 section 6.5.1).
        let is_nonce =
            |nonce: &&str| (1..=LONGEST_NONCE).contains(&nonce.len()) && is_base64url(nonce);
        Ok(Reply {
            status: answer.status().as_u16(),
            nonce: field(headers, "Replay-Nonce").filter(is_nonce).map(str::to_owned),
            location: field(headers, "Location").map(str::to_owned),
            retry_after: field(headers, "Retry-After")
                .and_then(|value| dates::retry_after(value, now)),
            body,
        })
    }
}

fn field<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Trusts the given root alone, or else those of the system.
fn roots(root: Option<&str>) -> Result<RootCerts, AcmeError> {
    let system;
    let (text, what) = match root {
        Some(root) => (root.as_bytes(), "\"root\""),
        None => {
            system = std::fs::read(SYSTEM_ROOTS).map_err(|error| {
                format!(
                    "no root certificates are installed ({SYSTEM_ROOTS}: {error}): send the root of the \
                     authority as \"root\""
                )
            })?;
            (system.as_slice(), SYSTEM_ROOTS)
        }
    };
    let blocks = pem::read(text).map_err(|_| format!("{what} is not whole PEM"))?;
    if blocks.certificates.is_empty() {
        return Err(AcmeError::from(format!("{what} holds no certificate")));
    }
    let owned = |der: &[u8]| Certificate::from_der(der).to_owned();
    Ok(blocks.certificates.iter().map(|der| owned(der)).into())
}

/// The proxy is asked for a tunnel with CONNECT (RFC 9110 section 9.3.6), and looks the authority's name up.
fn http_proxy(proxy: &Proxy) -> Result<ureq::Proxy, AcmeError> {
    let unusable =
        || AcmeError::from(format!("the address of the proxy {} is not usable", proxy.address));
    let (host, port) = proxy.address.rsplit_once(':').ok_or_else(unusable)?;
    let mut wanted = ureq::Proxy::builder(ProxyProtocol::Http)
        .host(host)
        .port(port.parse().map_err(|_| unusable())?);
    if let Some((user, password)) = &proxy.credentials {
        wanted = wanted.username(user).password(password);
    }
    wanted.build().map_err(|_| unusable())
}

/// `host` or `host:port` of a URL, for a message.
pub(super) fn host(url: &str) -> String {
    let uri = url.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::authority).map(|authority| authority.as_str());
    host.map_or("an unknown host", |host| host.rsplit('@').next().unwrap_or(host)).to_owned()
}
