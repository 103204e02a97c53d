//! What `check` finds in the state folder: without the daemon, and nothing is changed.

use std::time::SystemTime;

use crate::config::Config;
use crate::license;
use crate::security::{self, AcmeRecord};
use crate::util::utc;

/// What is worth a look, and what has to be repaired; all are sentences.
pub(crate) struct Findings {
    pub(crate) notes: Vec<String>,
    pub(crate) faults: Vec<String>,
}

/// Looks at the files as the next start would.
pub(crate) fn findings(config: &Config) -> Findings {
    let now = SystemTime::now();
    let seen = security::inspect(&config.state_dir, config.api, now);
    let (mut notes, mut faults) = (Vec::new(), seen.faults);
    let (acme, seconds) = (seen.acme.as_deref(), utc::unix_seconds(now));
    let warnings = seen.summary.iter().flat_map(|s| s.warnings_in_force(acme, seconds));
    let trouble = acme.and_then(AcmeRecord::trouble);
    notes.extend(warnings.chain(trouble).map(|warning| format!("warning: {warning}")));
    let own_certificate = matches!(&seen.summary, Some(s) if s.source != security::Source::Default);
    if config.hsts_max_age > 0 && !own_certificate {
        notes.push(
            "note: hsts_max_age has no effect while the default certificate is in use".to_owned(),
        );
    }
    let trust_file = &config.license.trust_file;
    faults.extend(license::inspect(config).faults);
    match license::load_trust(trust_file) {
        Ok(Some(_)) => {}
        Ok(None) => notes.push(format!(
            "note: {} does not exist, so no license can be checked",
            trust_file.display()
        )),
        Err(fault) => faults.push(fault.to_string()),
    }
    Findings { notes, faults }
}
