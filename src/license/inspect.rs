//! The license as its files say, for `status` and `check`: no daemon, no network, nothing changed.

use serde_json::Value;

use super::device::trust_file;
use super::device::{self, Device};
use super::state::record;
use crate::config::Config;
use crate::license::client::proxy::Proxy;
use crate::license::state::clock::ClockReading;
use crate::license::state::record::State;
use crate::license::state::status::{Contact, Snapshot};
use crate::store::View;

/// What was found.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// The status document, never connected.
    pub(crate) document: Value,
    /// What is wrong, each with its file and what to do.
    pub(crate) faults: Vec<String>,
}

/// Looks at the license files of `config.state_dir`.
pub(crate) fn inspect(config: &Config) -> Inspection {
    // Without the folder there is nothing to find; one that can't be used is told by who keeps the rest.
    let view = View::open(&config.state_dir).ok().flatten();
    let mut faults = Vec::new();
    let found = view.and_then(|view| look(&view, config, &mut faults));
    let (state, computer_id) = found.unwrap_or_default();
    let contact = Contact {
        last_answer: None,
        last_attempt: None,
        in_progress_since: None,
        error: String::new(),
        trust_error: Some(String::new()),
    };
    let awaits_certificate = state.pending_activation.is_some();
    let snapshot =
        Snapshot::new(&config.license, &computer_id, &state, awaits_certificate, contact);
    Inspection { document: snapshot.document(&ClockReading::now()), faults }
}

/// The state and the computer's id; `None` where no license can be looked at.
fn look(view: &View, config: &Config, faults: &mut Vec<String>) -> Option<(State, String)> {
    if let Err(error) = Proxy::read(view) {
        faults.push(format!(
            "{error}; the license service is not asked until that is mended, or the proxy is set again \
             with POST license/network"
        ));
    }
    let device = match Device::inspect(view) {
        Ok(Some(device)) => device,
        Ok(None) => {
            if view.path(record::NAME).exists() {
                faults.push(format!(
                    "{} is missing, and {} is sealed with it: put it back, or start the daemon, which \
                     makes a new one, and post the license code again",
                    view.path(device::KEY).display(),
                    record::NAME
                ));
            }
            return None;
        }
        Err(error) => {
            faults.push(error);
            return None;
        }
    };
    // A trust file that can't be used is told by who looks for it.
    let mut trust = trust_file::load(&config.license.trust_file).ok().flatten();
    let (state, error) = record::inspect(view, &device, trust.as_mut());
    faults.extend(error);
    Some((state, device.computer_id))
}
