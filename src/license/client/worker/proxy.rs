//! The proxy on the way to the license service: setting it, and not repeating what it refused.
//!
//! A user name and password that a proxy refuses are often those of an account that is locked after a
//! handful of tries, for every use it has. So they are sent once, and again only when a person has set
//! them or made a call that needs the service. That outlives a restart, or a machine that starts over and
//! over would lock the account; what is kept of them is a seal.

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
        let proxy = Proxy::from_body(body, present).map_err(|why| {
            let hint = format!("nothing was changed; send {}", EXAMPLE);
            ApiError::input("bad_request", why, hint)
        })?;
        Proxy::save(proxy.as_ref(), &self.folder).map_err(|error| self.storage_error(&error))?;
        match &proxy {
            Some(proxy) => self.log.security(format_args!(
                "proxy for the license service set to {} by {by}",
                proxy.shown()
            )),
            None => {
                self.log.security(format_args!("proxy for the license service cleared by {by}"));
            }
        }
        let answer = Proxy::to_body(proxy.as_ref());
        self.proxy.publish(Ok(proxy));
        // What was tried on the way before says nothing about this one.
        self.last_attempt = None;
        self.publish();
        self.schedule.sync_now();
        Ok(answer)
    }

    /// Why the service can't be asked until a person acts: the proxy refused the credentials there are.
    pub(crate) fn proxy_rejection(&self) -> Option<&str> {
        let refused = self.state.refused.as_ref()?;
        let proxy = self.proxy.snapshot();
        let present = proxy.as_ref().as_ref().ok()?.as_ref()?;
        (self.credentials_seal(present) == refused.seal).then_some(refused.message.as_str())
    }

    /// Remembers that the proxy refused what it was sent; if they were changed meanwhile, that says nothing.
    pub(crate) fn remember_rejection(&mut self, error: &TransportError) {
        let Some(proxy) = error.rejected_by.as_deref() else { return };
        let refused = RejectedCredentials {
            seal: self.credentials_seal(proxy),
            message: error.message.clone(),
        };
        self.state.refused = Some(refused);
        if self.proxy_rejection().is_some() {
            self.persist();
        } else {
            self.state.refused = None;
        }
    }

    /// A person has acted: one more try is due.
    pub(crate) fn allow_retry(&mut self) {
        self.state.refused = None;
    }

    fn credentials_seal(&self, proxy: &Proxy) -> String {
        let credentials = proxy.credentials();
        let credentials = credentials.as_ref().map_or("", |credentials| credentials.as_str());
        let sealed = zeroize::Zeroizing::new(format!("proxy {} {credentials}", proxy.address()));
        self.device.seal(&sealed)
    }
}
