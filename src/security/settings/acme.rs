//! ACME: set, shown, ended, and the steps of its order saved.

use std::sync::Arc;

use super::{SecuritySettings, State};
use crate::config::Acme;
use crate::security::acme::{AccountKey, AcmeFile, AcmeRecord};
use crate::security::{Actor, Error, Identity, names, pem};

impl SecuritySettings {
    /// The authority that issues the certificate, and how far it is; `None` while ACME is off.
    pub(crate) fn acme(&self) -> Option<Arc<AcmeRecord>> {
        match &self.lock().acme {
            Some(AcmeFile::On(record)) => Some(Arc::clone(record)),
            Some(AcmeFile::Off) | None => None,
        }
    }

    /// Lets an authority issue the certificate from now on. The account is kept if the authority stays the same;
    /// what is set already is tried again at once. The commit point is the replacement of `acme.json`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the root is no certificate.
    pub(crate) fn set_acme(&self, by: &Actor, config: Acme) -> Result<(), Error> {
        check_root(config.root.as_deref())?;
        let mut state = self.lock();
        let record = self.successor(&state, config, false)?;
        let directory = record.config.directory.clone();
        self.write_acme(&mut state, AcmeFile::On(Arc::new(record)))?;
        self.log.security_by(
            by.address(),
            format_args!("ACME set by {by}: certificates come from {directory}"),
        );
        Ok(())
    }

    /// Ends ACME; the certificate in force stays. The commit point is the change of `acme.json`. False if it was
    /// off.
    ///
    /// # Errors
    /// [`Error::Failed`] only.
    pub(crate) fn end_acme(&self, by: &Actor) -> Result<bool, Error> {
        let ended = self.remove_acme(&mut self.lock())?;
        if ended {
            self.log.security_by(
                by.address(),
                format_args!("ACME ended by {by}: the certificate stays in use"),
            );
        }
        Ok(ended)
    }

    /// Follows the settings where nobody has chosen otherwise: there is no `acme.json` and no uploaded
    /// certificate, or the file was written for earlier settings.
    ///
    /// # Errors
    /// [`Error::Failed`] if `acme.json` can't be written.
    pub(crate) fn set_acme_default(&mut self, default: Option<Acme>) -> Result<(), Error> {
        self.acme_default = default;
        self.follow_settings(&mut self.lock())
    }

    pub(super) fn follow_settings(&self, state: &mut State) -> Result<(), Error> {
        let follows = match &state.acme {
            Some(AcmeFile::On(record)) => {
                record.from_settings && self.acme_default.as_ref() != Some(&record.config)
            }
            Some(AcmeFile::Off) => false,
            None => self.acme_default.is_some() && state.uploaded.is_none(),
        };
        match &self.acme_default {
            _ if !follows => Ok(()),
            Some(config) => {
                let record = self.successor(state, config.clone(), true)?;
                self.write_acme(state, AcmeFile::On(Arc::new(record)))
            }
            None => self.remove_acme(state).map(drop),
        }
    }

    /// Saves a step of the order and returns its record; `None` if ACME was set anew or ended meanwhile, and then
    /// nothing is saved. The commit point is the replacement of `acme.json`.
    ///
    /// # Errors
    /// [`Error::Failed`] only.
    pub(in crate::security) fn save_acme(
        &self,
        before: &Arc<AcmeRecord>,
        after: AcmeRecord,
    ) -> Result<Option<Arc<AcmeRecord>>, Error> {
        let mut state = self.lock();
        if !is_current(&state, before) {
            return Ok(None);
        }
        let after = Arc::new(after);
        self.write_acme(&mut state, AcmeFile::On(Arc::clone(&after)))?;
        Ok(Some(after))
    }

    /// Puts a certificate of the authority in service; false if ACME was set anew or ended meanwhile. The commit
    /// point is the replacement of `tls/uploaded.pem`.
    ///
    /// # Errors
    /// [`Error::Failed`] only.
    pub(in crate::security) fn apply_acme(
        &self,
        record: &Arc<AcmeRecord>,
        identity: Identity,
        text: &str,
    ) -> Result<bool, Error> {
        let mut state = self.lock();
        if !is_current(&state, record) {
            return Ok(false);
        }
        self.put_in_service(&mut state, identity, text, &Actor::Acme).map(|_| true)
    }

    /// What `acme.json` shall hold for `config`.
    fn successor(
        &self,
        state: &State,
        config: Acme,
        from_settings: bool,
    ) -> Result<AcmeRecord, Error> {
        if let Some(AcmeFile::On(before)) = &state.acme {
            let account =
                |config: &Acme| (config.directory.clone(), config.external_account.clone());
            if before.config == config {
                return Ok(AcmeRecord {
                    from_settings,
                    failure: None,
                    ..AcmeRecord::clone(before)
                });
            }
            if account(&before.config) == account(&config) {
                return Ok(AcmeRecord {
                    from_settings,
                    account: before.account.clone(),
                    ..AcmeRecord::new(config, before.account_key.clone())
                });
            }
        }
        let key = AccountKey::generate().map_err(|error| self.failed(error))?;
        Ok(AcmeRecord { from_settings, ..AcmeRecord::new(config, key.to_pem()) })
    }

    /// Ends ACME also for the settings' sake; false if it was off.
    pub(super) fn remove_acme(&self, state: &mut State) -> Result<bool, Error> {
        if !matches!(state.acme, Some(AcmeFile::On(_))) {
            return Ok(false);
        }
        if self.acme_default.is_some() {
            self.write_acme(state, AcmeFile::Off)?;
            return Ok(true);
        }
        self.remove(state, names::ACME, "ACME could not be ended")?;
        Ok(true)
    }

    fn write_acme(&self, state: &mut State, acme: AcmeFile) -> Result<(), Error> {
        self.write(state, names::ACME, &acme.to_file())?;
        state.acme = Some(acme);
        Ok(())
    }
}

fn is_current(state: &State, record: &Arc<AcmeRecord>) -> bool {
    matches!(&state.acme, Some(AcmeFile::On(current)) if Arc::ptr_eq(current, record))
}

fn check_root(root: Option<&str>) -> Result<(), Error> {
    let blocks = root.map(|root| pem::read(root.as_bytes()));
    match blocks {
        None => Ok(()),
        Some(Ok(blocks)) if !blocks.certificates.is_empty() => Ok(()),
        Some(_) => Err(Error::Invalid(
            "\"root\" is not a whole certificate in PEM: nothing was changed".to_owned(),
        )),
    }
}
