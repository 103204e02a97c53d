//! The license as its files say, for `status` and `check`: no daemon, no network, nothing changed.

use serde_json::Value;

use super::clock::Reading;
use super::device::Device;
use super::record::{self, State};
use super::status::{Contact, Snapshot};
use super::trust_file;
use crate::config::Config;
use crate::store::View;

/// What was found.
#[derive(Debug)]
pub struct Inspection {
    /// The status document, never connected.
    pub document: Value,
    /// What is wrong, each with its file and what to do.
    pub faults: Vec<String>,
}

/// Looks at the license files of `config.state_dir`.
pub fn inspect(config: &Config) -> Inspection {
    let mut faults = Vec::new();
    // A trust file that can't be used is told by who looks for it.
    let mut trust = trust_file::load(&config.license.trust_file).ok().flatten();
    let device = match View::open(&config.state_dir) {
        Ok(Some(view)) => Device::look(&view).map(|device| device.map(|device| (view, device))),
        Ok(None) => Ok(None),
        // The same folder holds everything else, which says it already.
        Err(_) => Ok(None),
    };
    let (state, computer_id) = match device {
        Ok(Some((view, device))) => {
            let state = record::look(&view, &device, trust.as_mut()).unwrap_or_else(|fault| {
                faults.push(format!("{fault}; post the license code again"));
                record::damaged()
            });
            (state, device.computer_id)
        }
        Ok(None) => (State::default(), String::new()),
        Err(fault) => {
            faults.push(fault);
            (State::default(), String::new())
        }
    };
    let contact = Contact {
        heard: None,
        asking_since: None,
        error: String::new(),
        no_trust: Some(String::new()),
    };
    let awaits = state.awaited.is_some();
    let snapshot = Snapshot::new(&config.license, &computer_id, &state, awaits, contact);
    Inspection { document: snapshot.document(&Reading::now()), faults }
}
