//! `check`: whether the daemon would start, and with which settings. Changes nothing, needs no daemon.
//!
//! With `--settings` it checks only the settings, for scripts that run before a start: with a damaged state
//! the daemon starts anyway, in a safe state.
//!
//! The settings go to standard output, so that they can be kept as a file; everything else goes to
//! standard error.

use std::time::SystemTime;

use super::{Exit, Options, complain, print, settings_as_user};
use crate::license;
use crate::security;
use crate::security::AcmeRecord;
use crate::util::utc;

pub(super) fn run(options: &Options) -> Exit {
    // Finding bad settings is this command's purpose, so it exits with 1 and not with the daemon's 78.
    let Some(config) = settings_as_user(options) else { return Exit::Failed };
    let printed = print(&format!("{:#}", config.to_json()));
    if options.settings {
        return printed;
    }
    let now = SystemTime::now();
    let seen = security::inspect(&config.state_dir, config.api, now);
    let mut faults = seen.faults;
    let (acme, seconds) = (seen.acme.as_deref(), utc::unix_seconds(now));
    for warning in seen.summary.iter().flat_map(|s| s.warnings_in_force(acme, seconds)) {
        complain(format_args!("warning: {warning}"));
    }
    if let Some(trouble) = acme.and_then(AcmeRecord::trouble) {
        complain(format_args!("warning: {trouble}"));
    }
    let own_certificate = matches!(&seen.summary, Some(s) if s.source != security::Source::Default);
    if config.hsts_max_age > 0 && !own_certificate {
        complain("note: hsts_max_age has no effect while the default certificate is in use");
    }
    let trust_file = &config.license.trust_file;
    faults.extend(license::inspect(&config).faults);
    match license::load_trust(trust_file) {
        Ok(Some(_)) => {}
        Ok(None) => complain(format_args!(
            "note: {} does not exist, so no license can be checked",
            trust_file.display()
        )),
        Err(fault) => faults.push(fault.to_string()),
    }
    for fault in &faults {
        complain(fault);
    }
    if faults.is_empty() { printed } else { Exit::Failed }
}
