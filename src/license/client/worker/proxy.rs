//! The proxy for the license service: changes of it, and credentials that it rejected.
//!
//! Credentials that a proxy rejects often belong to an account that is locked, for all its uses, after a
//! few attempts. So they are sent once, and again only after an administrator has set the proxy or made a
//! call that needs the service. This holds across restarts, or a machine that restarts repeatedly would
//! lock the account; only a seal over the credentials is stored.

use serde_json::Value;

use super::Worker;
use crate::license::client::proxy::{EXAMPLE, Proxy};
use crate::license::client::transport::TransportError;
use crate::license::error::ApiError;
use crate::license::state::record::RejectedCredentials;
use crate::security::Actor;

impl Worker {
    pub(crate) fn set_proxy(&mut self, body: Value, by: &Actor) -> Result<Value, ApiError> {
        let snapshot = self.proxy.snapshot();
        let present = snapshot.as_ref().as_ref().ok().and_then(Option::as_ref);
        let proxy = Proxy::from_body(body, present).map_err(|error| {
            let hint = format!("nothing was changed; send {EXAMPLE}");
            ApiError::input("bad_request", error, hint)
        })?;
        Proxy::save(proxy.as_ref(), &self.folder).map_err(|error| self.storage_error(&error))?;
        match &proxy {
            Some(proxy) => self.log.security_by(
                by.address(),
                format_args!("proxy for the license service set to {} by {by}", proxy.address()),
            ),
            None => {
                self.log.security_by(
                    by.address(),
                    format_args!("proxy for the license service cleared by {by}"),
                );
            }
        }
        let answer = Proxy::to_body(proxy.as_ref());
        self.proxy.publish(Ok(proxy));
        // Earlier attempts say nothing about the new proxy.
        self.last_attempt = None;
        self.publish();
        self.schedule.sync_now();
        Ok(answer)
    }

    /// Why no request is sent until an administrator acts: the proxy rejected the present credentials.
    pub(crate) fn proxy_rejection(&self) -> Option<&str> {
        let rejected = self.state.rejected_credentials.as_ref()?;
        let proxy = self.proxy.snapshot();
        let present = proxy.as_ref().as_ref().ok()?.as_ref()?;
        (self.credentials_seal(present) == rejected.seal).then_some(rejected.message.as_str())
    }

    /// Remembers that the proxy rejected its credentials, unless they were changed meanwhile.
    pub(crate) fn remember_rejection(&mut self, error: &TransportError) {
        let Some(proxy) = error.rejected_by.as_deref() else { return };
        let rejected = RejectedCredentials {
            seal: self.credentials_seal(proxy),
            message: error.message.clone(),
        };
        self.state.rejected_credentials = Some(rejected);
        if self.proxy_rejection().is_some() {
            self.persist();
        } else {
            self.state.rejected_credentials = None;
        }
    }

    /// Allows one more attempt after an administrator has acted.
    pub(crate) fn allow_retry(&mut self) {
        self.state.rejected_credentials = None;
    }

    fn credentials_seal(&self, proxy: &Proxy) -> String {
        let credentials = proxy.credentials();
        let credentials = credentials.as_ref().map_or("", |credentials| credentials.as_str());
        let sealed = zeroize::Zeroizing::new(format!("proxy {} {credentials}", proxy.address()));
        self.device.seal(&sealed)
    }
}
