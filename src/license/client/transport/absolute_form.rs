//! Plain HTTP requests through a proxy in absolute form: `POST http://host/path` (RFC 9112 section 3.2.2).
//!
//! ureq sends `CONNECT host:80` instead, which Squid and tinyproxy refuse in their default settings, and
//! resolves the host locally, where often only the proxy can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::{Authority, PathAndQuery, Scheme};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Resolves the name of the proxy, if there is one, or else of the host.
#[derive(Debug)]
pub(crate) struct ProxyResolver {
    /// `host:port`
    pub(crate) proxy: Option<String>,
}

impl Resolver for ProxyResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let proxy = match &self.proxy {
            None => return DefaultResolver::default().resolve(uri, config, timeout),
            Some(proxy) => proxy,
        };
        let authority: Authority = proxy.parse().map_err(|_| Error::HostNotFound)?;
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(authority)
            .path_and_query(PathAndQuery::from_static("/"))
            .build()
            .map_err(|_| Error::HostNotFound)?;
        DefaultResolver::default().resolve(&uri, config, timeout)
    }
}

/// Records that a connection was made, and converts the first request on it to absolute form.
#[derive(Debug)]
pub(crate) struct AbsoluteFormConnector {
    pub(crate) absolute: bool,
    pub(crate) connected: Arc<AtomicBool>,
}

impl<In: Transport> Connector<In> for AbsoluteFormConnector {
    type Out = AbsoluteFormTransport<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        self.connected.store(chained.is_some(), Ordering::Relaxed);
        let host = details.uri.authority().map(Authority::as_str).filter(|_| self.absolute);
        let prefix = host.map(|host| format!("http://{host}"));
        Ok(chained.map(|inner| AbsoluteFormTransport { inner, prefix }))
    }
}

/// Inserts scheme and host before the path of the first request; there is one per connection.
#[derive(Debug)]
pub(crate) struct AbsoluteFormTransport<In> {
    inner: In,
    prefix: Option<String>,
}

impl<In: Transport> Transport for AbsoluteFormTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some(prefix) = self.prefix.take() else {
            return self.inner.transmit_output(amount, timeout);
        };
        let output = self.inner.buffers().output();
        let Some(longer) = insert(output, amount, prefix.as_bytes()) else {
            return Err(Error::BadUri("the request head is too long".to_owned()));
        };
        self.inner.transmit_output(longer, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }
}

/// Inserts `prefix` after the first space of `output[..amount]`; the new amount, if there is room.
fn insert(output: &mut [u8], amount: usize, prefix: &[u8]) -> Option<usize> {
    let at = output.get(..amount)?.iter().position(|byte| *byte == b' ')? + 1;
    let longer = amount.checked_add(prefix.len()).filter(|longer| *longer <= output.len())?;
    output.copy_within(at..amount, at + prefix.len());
    output.get_mut(at..at + prefix.len())?.copy_from_slice(prefix);
    Some(longer)
}

#[cfg(test)]
mod tests {
    use super::insert;

    #[test]
    fn a_prefix_goes_behind_the_method() {
        let mut output = *b"POST /v1 HTTP/1.1\r\n....................";
        assert_eq!(insert(&mut output, 19, b"http://box:80"), Some(32));
        assert_eq!(output.get(..32), Some(b"POST http://box:80/v1 HTTP/1.1\r\n".as_slice()));
        assert_eq!(insert(&mut [b' '; 5], 5, b"x"), None);
        assert_eq!(insert(&mut [b'x'; 5], 3, b"x"), None);
    }
}
