//! The pending certificate request: made, shown, dropped, and used by a certificate that comes without a key.

use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::{SecuritySettings, State};
use crate::security::certificate::OwnKey;
use crate::security::{
    Actor, Error, Identity, PendingRequest, PublicRequest, Wanted, certificate, files, names,
};

const NOT_DROPPED: &str = "the certificate request could not be dropped";

impl SecuritySettings {
    /// The pending certificate request.
    pub(crate) fn request(&self) -> Option<PublicRequest> {
        self.lock().request.as_ref().map(|pending| pending.public.clone())
    }

    /// Makes a key and the request for its certificate, and keeps both until a certificate of that key is
    /// applied. The commit point is the replacement of `tls/request.pem`. RSA takes up to some seconds.
    ///
    /// # Errors
    /// [`Error::Conflict`] while another request is pending: its certificate may be on its way, and would be
    /// worthless without its key.
    pub(crate) fn make_request(
        &self,
        by: &Actor,
        wanted: Wanted,
        now: SystemTime,
    ) -> Result<PublicRequest, Error> {
        none_pending(&self.lock())?;
        let (pending, text) = self
            .one_at_a_time(|| PendingRequest::make(wanted, now))
            .map_err(|error| self.failed(error))?;
        let mut state = self.lock();
        none_pending(&state)?;
        self.write(&mut state, names::REQUEST, text.as_bytes())?;
        let public = pending.public.clone();
        state.request = Some(pending);
        self.log.security_by(
            by.address(),
            format_args!(
                "certificate requested by {by}: {} key with SHA-256 {}",
                public.key_type, public.key_sha256
            ),
        );
        Ok(public)
    }

    /// Drops the pending request and its key. The commit point is the removal of `tls/request.pem`. False if
    /// there was none.
    ///
    /// # Errors
    /// [`Error::Failed`] only.
    pub(crate) fn drop_request(&self, by: &Actor) -> Result<bool, Error> {
        let mut state = self.lock();
        if state.request.is_none() {
            return Ok(false);
        }
        self.remove(&mut state, names::REQUEST, NOT_DROPPED)?;
        self.log.security_by(by.address(), format_args!("certificate request dropped by {by}"));
        Ok(true)
    }

    /// Drops the pending request if the certificate in force is of its key. A power cut may have come between
    /// the two.
    pub(super) fn drop_used_request(&self, state: &mut State) {
        let key = state.uploaded.as_ref().and_then(|identity| identity.certified.key.public_key());
        let Some((key, pending)) = key.zip(state.request.as_ref()) else {
            return;
        };
        // A failure is logged already, and the next start tries again.
        if certificate::public_key_of(&pending.key).as_deref() == Some(key.as_ref()) {
            let _ = self.remove(state, names::REQUEST, NOT_DROPPED);
        }
    }

    /// Checks certificates that came without a key.
    pub(super) fn check_for_own_key(
        &self,
        certfile: &[u8],
        now: i64,
    ) -> Result<(Identity, Zeroizing<String>), String> {
        let (pending, source) = {
            let state = self.lock();
            (
                state.request.as_ref().map(|pending| (Arc::clone(&pending.key), pending.when())),
                state.identity().summary.source,
            )
        };
        let in_force = files::key(self.folder.view(), source)?;
        let mut keys = vec![OwnKey { key: &in_force, name: "the key in force".to_owned() }];
        if let Some((key, when)) = &pending {
            let name = format!("the key of the pending request, {when}");
            keys.insert(0, OwnKey { key, name });
        }
        certificate::for_own_key(certfile, &keys, now)
    }
}

fn none_pending(state: &State) -> Result<(), Error> {
    match &state.request {
        None => Ok(()),
        Some(pending) => Err(Error::Conflict(format!(
            "a certificate request {} is pending, and its certificate may be on its way: apply that with \
             POST sslcertificate, or drop the request and its key with DELETE certificaterequest first",
            pending.when()
        ))),
    }
}
