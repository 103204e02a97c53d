//! The job token: set and removed.

use super::SecuritySettings;
use crate::security::job_token::{JobToken, JobTokenHash};
use crate::security::settings_file::SettingsFile;
use crate::security::{Actor, Error, names};

impl SecuritySettings {
    /// Sets the job token. The commit point is the replacement of `job-token.json`.
    ///
    /// # Errors
    /// [`Error::Invalid`] says which rule the token breaks.
    pub(crate) fn set_job_token(&self, by: &Actor, token: &str) -> Result<(), Error> {
        let hash = JobTokenHash::new(token).map_err(Error::Invalid)?;
        let mut state = self.lock();
        self.write(&mut state, names::JOB_TOKEN, &hash.to_file())?;
        state.job_token = JobToken::Set(hash);
        self.publish(&state);
        self.log.security_by(by.address(), format_args!("job token set by {by}"));
        Ok(())
    }

    /// Removes the job token, so that speech is open again. The commit point is the replacement of `security.json`,
    /// which names the file that counts as removed from then on. False if there was none.
    ///
    /// # Errors
    /// [`Error::Failed`] only.
    pub(crate) fn remove_job_token(&self, by: &Actor) -> Result<bool, Error> {
        let mut state = self.lock();
        if state.job_token == JobToken::Unset {
            return Ok(false);
        }
        let discard = vec![names::JOB_TOKEN];
        let settings = SettingsFile { discard, ..state.settings.clone() };
        self.commit(&mut state, settings)?;
        self.publish(&state);
        self.log
            .security_by(by.address(), format_args!("job token removed by {by}: speech is open"));
        Ok(true)
    }
}
