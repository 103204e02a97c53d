//! The default certificate, made anew when somebody asks for it.

use std::time::SystemTime;

use super::SecuritySettings;
use crate::security::addresses::Host;
use crate::security::{Actor, Error, Source, Summary, certificate, default_certificate, names};

impl SecuritySettings {
    /// Makes the default certificate anew, with a new key and the names that the machine has now. It is never
    /// done without being asked for, because clients may trust the old one. The commit point is the
    /// replacement of `tls/default.pem`. Takes up to some seconds.
    ///
    /// # Errors
    /// [`Error::Failed`] only.
    pub(crate) fn renew_default(&self, by: &Actor, now: SystemTime) -> Result<Summary, Error> {
        let text = self.one_at_a_time(|| default_certificate::make(now, &Host::detect()));
        let made = text.and_then(|text| {
            let identity = certificate::from_file(text.as_bytes(), Source::Default)?;
            Ok((text, identity))
        });
        let (text, identity) = made.map_err(|error| self.failed(error))?;
        let mut state = self.lock();
        self.write(&mut state, names::DEFAULT, text.as_bytes())?;
        let summary = identity.summary.clone();
        state.default = identity;
        self.publish(&state);
        self.log.security_by(
            by.address(),
            format_args!("default certificate made anew by {by}: sha256 {}", summary.sha256),
        );
        Ok(summary)
    }
}
