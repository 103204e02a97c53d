//! Speaks ACME with a certificate authority: RFC 8555, with external accounts (section 7.3.4) and renewal
//! information (RFC 9773).
//!
//! In: requests and their signatures, nonces, what answers mean, errors in words. Every call blocks, at most
//! 30 s for a request, of which there are at most five. Out: when to ask for what, and what is kept.

mod answer;
mod dates;
mod failure;
mod jws;
mod problem;
mod renewal_info;
mod resources;
mod transport;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(crate) use jws::AccountKey;
pub(crate) use problem::{AcmeError, Problem};
pub(crate) use renewal_info::{RenewalInfo, certificate_id};
pub(crate) use resources::{Authorization, AuthorizationStatus, Challenge, Order, OrderStatus};

use self::answer::{check, malformed, read};
use self::resources::{Directory, is_https};
use self::transport::{LARGEST_CHAIN, LARGEST_JSON, Reply, TOTAL, Transport, host};
use crate::config::ExternalAccount;
use crate::security::pem;

/// How often a request is sent again with another nonce (RFC 8555 section 6.5).
const MOST_BAD_NONCES: usize = 3;

const JSON: &str = "application/json";
const PEM_CHAIN: &str = "application/pem-certificate-chain";

/// Where an authority is, and how it is reached.
pub(crate) struct Server<'a> {
    /// The URL of its directory.
    pub(crate) directory: &'a str,
    /// The only root to trust, in PEM; if absent, those of the system.
    pub(crate) root: Option<&'a str>,
    /// Asked for a tunnel with CONNECT.
    pub(crate) proxy: Option<Proxy>,
}

/// An HTTP proxy.
pub(crate) struct Proxy {
    /// `host:port`
    pub(crate) address: String,
    /// User name and password for Basic authentication (RFC 7617).
    pub(crate) credentials: Option<(String, Zeroizing<String>)>,
}

/// An account at the authority.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account<'a> {
    pub(crate) key: &'a AccountKey,
    /// As [`Client::new_account`] gave it.
    pub(crate) url: &'a str,
}

/// A conversation with one authority.
pub(crate) struct Client {
    transport: Transport,
    directory: Directory,
    /// As in "the certificate authority at ca.example".
    name: String,
    /// From the last answer.
    nonce: Option<String>,
}

impl Client {
    /// Reads the authority's directory.
    ///
    /// # Errors
    /// The authority cannot be reached or trusted, or is none.
    pub(crate) fn connect(server: &Server<'_>) -> Result<Client, AcmeError> {
        Client::connect_within(server, TOTAL)
    }

    fn connect_within(server: &Server<'_>, budget: Duration) -> Result<Client, AcmeError> {
        if !is_https(server.directory) {
            let what =
                "\"directory\" is no URL of https, as in \"https://ca.example/acme/directory\"";
            return Err(AcmeError::from(what.to_owned()));
        }
        let name = format!("the certificate authority at {}", host(server.directory));
        let transport = Transport::new(server, budget)?;
        let reply = transport.get(server.directory)?;
        let doing = "show its directory";
        check(&name, doing, &reply)?;
        let directory = read(&name, doing, &reply, Directory::read)?;
        Ok(Client { transport, directory, name, nonce: reply.nonce })
    }

    /// Makes an account, or finds the one of this key, and gives its URL. Agrees to the authority's terms.
    ///
    /// # Errors
    /// The authority refuses, or cannot be reached.
    pub(crate) fn new_account(
        &mut self,
        key: &AccountKey,
        contact: &[String],
        external: Option<&ExternalAccount>,
    ) -> Result<String, AcmeError> {
        let url = self.directory.new_account.clone();
        let mut payload = json!({"termsOfServiceAgreed": true});
        if !contact.is_empty() {
            payload["contact"] = json!(contact);
        }
        if let Some(external) = external {
            payload["externalAccountBinding"] = key.bind(external, &url)?;
        }
        let doing = "make an account";
        let reply = self.post(key, None, &url, &payload.to_string(), doing, JSON)?;
        self.location(&reply, doing)
    }

    /// Orders a certificate for these names, and gives the order and its URL. `replaces` is the
    /// [`certificate_id`] of the one to be replaced (RFC 9773 section 5); an authority that does not know it
    /// is asked without.
    ///
    /// # Errors
    /// The authority refuses, or cannot be reached.
    pub(crate) fn new_order(
        &mut self,
        account: &Account<'_>,
        names: &[String],
        replaces: Option<&str>,
    ) -> Result<(String, Order), AcmeError> {
        let names: Vec<Value> = names.iter().map(|name| identifier(name)).collect();
        let mut payload = json!({"identifiers": names});
        if let Some(id) = replaces.filter(|_| self.directory.renewal_info.is_some()) {
            payload["replaces"] = json!(id);
            match self.order_with(account, &payload) {
                // Also of an order that was lost before: it is no reason to be left without a certificate.
                Err(error) if error.kind.as_deref() == Some("alreadyReplaced") => {}
                other => return other,
            }
            payload = json!({"identifiers": names});
        }
        self.order_with(account, &payload)
    }

    fn order_with(
        &mut self,
        account: &Account<'_>,
        payload: &Value,
    ) -> Result<(String, Order), AcmeError> {
        let (url, doing) = (self.directory.new_order.clone(), "take the order");
        let reply = self.post_as(account, &url, &payload.to_string(), doing)?;
        let order = read(&self.name, doing, &reply, |order| Order::read(order, reply.retry_after))?;
        Ok((self.location(&reply, doing)?, order))
    }

    /// # Errors
    /// The authority refuses, or cannot be reached.
    pub(crate) fn order(&mut self, account: &Account<'_>, url: &str) -> Result<Order, AcmeError> {
        let doing = "show the order";
        let reply = self.post_as(account, url, "", doing)?;
        read(&self.name, doing, &reply, |order| Order::read(order, reply.retry_after))
    }

    /// # Errors
    /// The authority refuses, or cannot be reached.
    pub(crate) fn authorization(
        &mut self,
        account: &Account<'_>,
        url: &str,
    ) -> Result<Authorization, AcmeError> {
        let doing = "show the authorization";
        let reply = self.post_as(account, url, "", doing)?;
        read(&self.name, doing, &reply, |value| Authorization::read(value, reply.retry_after))
    }

    /// Tells the authority that it may look whether the challenge is met (RFC 8555 section 7.5.1).
    ///
    /// # Errors
    /// The authority refuses, or cannot be reached.
    pub(crate) fn respond(
        &mut self,
        account: &Account<'_>,
        challenge_url: &str,
    ) -> Result<(), AcmeError> {
        self.post_as(account, challenge_url, "{}", "take up the challenge").map(drop)
    }

    /// Sends the certificate request (RFC 2986) of an order that is ready to its `finalize`.
    ///
    /// # Errors
    /// The authority refuses, or cannot be reached.
    pub(crate) fn finalize(
        &mut self,
        account: &Account<'_>,
        url: &str,
        csr_der: &[u8],
    ) -> Result<Order, AcmeError> {
        let doing = "take the certificate request";
        let payload = json!({"csr": BASE64URL.encode(csr_der)}).to_string();
        let reply = self.post_as(account, url, &payload, doing)?;
        read(&self.name, doing, &reply, |order| Order::read(order, reply.retry_after))
    }

    /// The certificate and its chain, in PEM that holds nothing else.
    ///
    /// # Errors
    /// The authority refuses, or cannot be reached.
    pub(crate) fn certificate(
        &mut self,
        account: &Account<'_>,
        url: &str,
    ) -> Result<String, AcmeError> {
        let doing = "hand out the certificate";
        let reply = self.post(account.key, Some(account.url), url, "", doing, PEM_CHAIN)?;
        let blocks = pem::read(&reply.body).ok();
        let only_certificates = blocks.is_some_and(|blocks| {
            !blocks.certificates.is_empty()
                && blocks.keys.is_empty()
                && blocks.requests.is_empty()
                && blocks.encrypted_keys == 0
                && blocks.others.is_empty()
        });
        match String::from_utf8(reply.body) {
            Ok(chain) if only_certificates => Ok(chain),
            _ => Err(malformed(&self.name, doing, "is not a chain of certificates in PEM")),
        }
    }

    /// When the authority wants a certificate to be renewed; `None` if it does not tell.
    ///
    /// # Errors
    /// The authority refuses, or cannot be reached.
    pub(crate) fn renewal_info(
        &mut self,
        certificate_id: &str,
    ) -> Result<Option<RenewalInfo>, AcmeError> {
        let Some(url) = &self.directory.renewal_info else { return Ok(None) };
        let doing = "tell when to renew the certificate";
        let reply =
            self.transport.get(&format!("{}/{certificate_id}", url.trim_end_matches('/')))?;
        check(&self.name, doing, &reply)?;
        read(&self.name, doing, &reply, |info| RenewalInfo::read(info, reply.retry_after)).map(Some)
    }

    fn post_as(
        &mut self,
        account: &Account<'_>,
        url: &str,
        payload: &str,
        doing: &str,
    ) -> Result<Reply, AcmeError> {
        self.post(account.key, Some(account.url), url, payload, doing, JSON)
    }

    /// Sends a signed request, again if the authority does not know its nonce any more.
    fn post(
        &mut self,
        key: &AccountKey,
        account: Option<&str>,
        url: &str,
        payload: &str,
        doing: &str,
        accept: &str,
    ) -> Result<Reply, AcmeError> {
        let limit = if accept == JSON { LARGEST_JSON } else { LARGEST_CHAIN };
        let mut bad_nonces = 0;
        loop {
            let nonce = self.nonce()?;
            let signed = key.sign(account, &nonce, url, payload)?;
            let reply = self.transport.post(url, &signed, accept, limit)?;
            self.nonce.clone_from(&reply.nonce);
            match check(&self.name, doing, &reply) {
                Ok(()) => return Ok(reply),
                Err(error) if error.kind.as_deref() == Some("badNonce") => {
                    if bad_nonces == MOST_BAD_NONCES {
                        return Err(error);
                    }
                    bad_nonces += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Each serves once.
    fn nonce(&mut self) -> Result<String, AcmeError> {
        if let Some(nonce) = self.nonce.take() {
            return Ok(nonce);
        }
        let doing = "give out a nonce";
        let reply = self.transport.head(&self.directory.new_nonce)?;
        check(&self.name, doing, &reply)?;
        reply.nonce.ok_or_else(|| malformed(&self.name, doing, "has no usable Replay-Nonce"))
    }

    fn location(&self, reply: &Reply, doing: &str) -> Result<String, AcmeError> {
        let location = reply.location.as_deref().filter(|url| is_https(url));
        let missing = || malformed(&self.name, doing, "has no Location that is a URL of https");
        location.map(str::to_owned).ok_or_else(missing)
    }
}

/// The identifier of a name or an IP address (RFC 8738).
fn identifier(name: &str) -> Value {
    let kind = if name.parse::<IpAddr>().is_ok() { "ip" } else { "dns" };
    json!({"type": kind, "value": name})
}
