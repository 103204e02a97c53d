//! Reads the state folder without changing it, for `check` and `status`.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::acme::{AcmeFile, AcmeRecord};
use super::files::{self, Found};
use super::settings::without_password;
use super::settings_file::SettingsFile;
use super::{JobToken, Password, Source, Summary, names};
use crate::config::Api;
use crate::store::View;
use crate::util::utc;

/// What the next start would find, without the locks and repairs of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inspection {
    /// One sentence for each problem.
    pub(crate) faults: Vec<String>,
    /// The certificate that would be served; `None` before the first start.
    pub(crate) summary: Option<Summary>,
    /// Whether plain HTTP would be served; `None` when the folder can't be read.
    pub(crate) plain_http: Option<bool>,
    /// `set`, `unset`, `off` or `locked`.
    pub(crate) password: &'static str,
    /// `set`, `unset` or `locked`.
    pub(crate) job_token: &'static str,
    /// Who issues the certificate; `None` if nobody does.
    pub(crate) acme: Option<Arc<AcmeRecord>>,
}

/// Reads the files as a start would, changes nothing and needs no lock. An absent folder is not a problem,
/// because the first start creates it.
pub(crate) fn inspect(state_dir: &Path, api: Api, now: SystemTime) -> Inspection {
    let nothing = Inspection {
        faults: Vec::new(),
        summary: None,
        plain_http: None,
        password: Password::Locked.state(),
        job_token: JobToken::Locked.state(),
        acme: None,
    };
    let view = match View::open(state_dir) {
        Ok(Some(view)) => view,
        Ok(None) => {
            let settings = SettingsFile::DEFAULT;
            return Inspection {
                plain_http: Some(settings.plain_http),
                password: without_password(&settings, api).state(),
                job_token: JobToken::Unset.state(),
                ..nothing
            };
        }
        Err(error) => return Inspection { faults: vec![error.to_string()], ..nothing },
    };
    let mut faults = Vec::new();
    let settings = match files::settings(&view).parse() {
        Found::Good(settings) => settings,
        Found::Absent => SettingsFile::DEFAULT,
        Found::Damaged(reason) | Found::Untrusted(reason) => {
            faults.push(format!("{reason}; plain HTTP is off until it is repaired"));
            SettingsFile::FAIL_CLOSED
        }
    };
    let (password, _) = files::password_in_force(&view, &settings, |fault| faults.push(fault));
    let password = password.unwrap_or_else(|| without_password(&settings, api));
    let (job_token, _) = files::job_token_in_force(&view, &settings, |fault| faults.push(fault));
    let acme = match files::acme(&view).parse() {
        _ if settings.discard.contains(&names::ACME) => None,
        Found::Good(AcmeFile::On(record)) => Some(record),
        Found::Good(AcmeFile::Off) | Found::Absent => None,
        Found::Damaged(reason) | Found::Untrusted(reason) => {
            faults.push(format!("{reason}; until then no certificate is fetched"));
            None
        }
    };
    let mut summary = |source, discarded| match files::identity(&view, source).parse() {
        _ if discarded => None,
        Found::Absent => None,
        Found::Good(identity) => Some(identity.summary),
        Found::Damaged(reason) | Found::Untrusted(reason) => {
            faults.push(reason);
            None
        }
    };
    let uploaded = summary(Source::Uploaded, settings.discard.contains(&names::UPLOADED));
    let default = summary(Source::Default, false);
    let summary = uploaded.or(default);
    let late = summary.as_ref().and_then(|summary| {
        let error = summary.date_error(utc::unix_seconds(now))?;
        Some(format!("the {} certificate {error}", summary.source.name()))
    });
    faults.extend(late);
    Inspection {
        faults,
        summary,
        plain_http: Some(settings.plain_http),
        password: password.state(),
        job_token: job_token.state(),
        acme,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::{Inspection, inspect};
    use crate::config::Api;
    use crate::log::Log;
    use crate::security::{Actor, SecuritySettings, Source};
    use crate::store::Scratch;

    const BOTH: Api = Api { v1: true, v2: true };

    fn look(path: &Path) -> Inspection {
        inspect(path, BOTH, SystemTime::now())
    }

    #[test]
    fn an_absent_folder_is_no_fault_and_stays_absent() {
        let scratch = Scratch::new();
        let path = scratch.0.join("state");
        let seen = look(&path);
        assert_eq!((seen.faults.len(), seen.summary, seen.plain_http), (0, None, Some(true)));
        assert_eq!(seen.password, "unset");
        assert!(!path.exists());
    }

    #[test]
    fn it_looks_while_the_daemon_runs_and_names_every_fault() {
        let scratch = Scratch::new();
        let path = scratch.0.join("state");
        let security = SecuritySettings::open(&path, BOTH, Log::to(|_| {})).unwrap();
        security.set_plain_http(&Actor::Local, false).unwrap();
        let seen = look(&path);
        assert_eq!((seen.faults.len(), seen.plain_http), (0, Some(false)));
        assert_eq!(seen.summary.as_ref().unwrap().source, Source::Default);
        let later = SystemTime::now() + Duration::from_secs(11 * 31_556_952);
        assert!(inspect(&path, BOTH, later).faults[0].contains("expired at"));

        fs::write(path.join("security.json"), "{}").unwrap();
        fs::write(path.join("admin.htpasswd"), "admin:x").unwrap();
        fs::write(path.join("tls/uploaded.pem"), "x").unwrap();
        let seen = look(&path);
        assert_eq!(seen.faults.len(), 3, "{:?}", seen.faults);
        assert_eq!((seen.plain_http, seen.password), (Some(false), "locked"));
        assert_eq!(fs::read(path.join("tls/uploaded.pem")).unwrap(), b"x");

        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let seen = look(&path);
        assert!(seen.faults[0].contains("chmod 700"), "{:?}", seen.faults);
        assert_eq!((seen.plain_http, seen.password), (None, "locked"));
    }
}
