//! The license as stored on disk, for `status` and `check`: without daemon and network, read-only.

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

/// The result of an inspection.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// The status document, with `connected` false.
    pub(crate) document: Value,
    /// What is wrong, each with the file and what to do.
    pub(crate) faults: Vec<String>,
}

/// Inspects the license files in `config.state_dir`.
pub(crate) fn inspect(config: &Config) -> Inspection {
    // Without the folder there is nothing to inspect; an unusable one is reported by the security settings.
    let view = View::open(&config.state_dir).ok().flatten();
    let mut faults = Vec::new();
    let found = view.and_then(|view| look(&view, config, &mut faults));
    let (state, computer_id) = found.unwrap_or_default();
    let contact = Contact { trust_error: Some(String::new()), ..Contact::default() };
    let awaits_certificate = state.pending_activation.is_some();
    let snapshot =
        Snapshot::new(&config.license, &computer_id, &state, awaits_certificate, contact);
    Inspection { document: snapshot.document(&ClockReading::now()), faults }
}

/// The state and the computer's id; `None` if there is no license to inspect.
fn look(view: &View, config: &Config, faults: &mut Vec<String>) -> Option<(State, String)> {
    if let Err(error) = Proxy::read(view) {
        faults.push(format!(
            "{error}; the license service is not contacted until the file is repaired or the proxy is \
             set again with POST license/network"
        ));
    }
    let device = match Device::inspect(view) {
        Ok(Some(device)) => device,
        Ok(None) => {
            if view.path(record::NAME).exists() {
                faults.push(format!(
                    "{} is missing, and {} is sealed with it: restore it, or start the daemon, \
                     which generates a new one, and post the license code again",
                    view.path(device::KEY).display(),
                    record::NAME
                ));
            }
            return None;
        }
        Err(error) => {
            faults.push(error.to_string());
            return None;
        }
    };
    // An unusable trust file is reported by `check` itself.
    let mut trust = trust_file::load(&config.license.trust_file).ok().flatten();
    let (state, error) = record::inspect(view, &device, trust.as_mut());
    faults.extend(error);
    Some((state, device.computer_id))
}
