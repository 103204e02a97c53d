//! `check`: would the daemon start, and on what. Changes nothing and needs no running daemon.
//!
//! The settings go to standard output, so that they can be kept as a file; everything else goes to
//! standard error.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::SystemTime;

use super::{Exit, Options, complain, print, settings_as_user};
use crate::config::json;
use crate::security;

/// Largest trust file in bytes; a real one has a few thousand.
const LARGEST_TRUST_FILE: u64 = 1 << 20;

pub(super) fn run(options: &Options) -> Exit {
    // Bad settings are what this command is asked to find, so they are its 1 and not the daemon's 78.
    let Some(config) = settings_as_user(options) else { return Exit::Failed };
    let printed = print(&format!("{:#}", config.to_json()));
    let mut faults = security::inspect(&config.state_dir, config.api, SystemTime::now()).faults;
    let trust_file = &config.license.trust_file;
    match trust(trust_file) {
        Ok(true) => {}
        Ok(false) => complain(format_args!(
            "note: {} does not exist, so no license can be checked",
            trust_file.display()
        )),
        Err(fault) => faults.push(format!("{}: {fault}", trust_file.display())),
    }
    for fault in &faults {
        complain(fault);
    }
    if faults.is_empty() { printed } else { Exit::Failed }
}

/// Whether the trust file is there; an error if it is and is no JSON.
fn trust(path: &Path) -> Result<bool, String> {
    let mut text = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(LARGEST_TRUST_FILE + 1).read_to_end(&mut text));
    match read {
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(false),
        Err(fault) => Err(fault.to_string()),
        Ok(_) if text.len() as u64 > LARGEST_TRUST_FILE => {
            Err(format!("larger than {LARGEST_TRUST_FILE} bytes, so it can't be the trust file"))
        }
        Ok(_) => json::parse(&text).map(|_| true),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::trust;

    #[test]
    fn a_trust_file_may_be_absent_but_not_broken() {
        let path = std::env::temp_dir().join(format!("applianced-trust-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        assert_eq!(trust(&path), Ok(false));
        fs::write(&path, "{}").unwrap();
        assert_eq!(trust(&path), Ok(true));
        fs::write(&path, "{").unwrap();
        assert!(trust(&path).unwrap_err().contains("not valid JSON"));
        fs::remove_file(&path).unwrap();
    }
}
