//! The authority's keys on disk: the trust file of the image, and the newest bundle heard of since.

use std::path::Path;

use serde_json::{Value, json};

use super::trust::Trust;
use crate::log::Log;
use crate::store::{self, Folder};

const BUNDLE: &str = "trust-bundle.json";

/// Largest of both files in bytes; real ones have a few thousand.
const LARGEST: u64 = 256 << 10;

/// Reads the trust file; `None` where there is none.
///
/// # Errors
/// A sentence about the file.
pub fn load(path: &Path) -> Result<Option<Trust>, String> {
    let Some(contents) = store::read(path, LARGEST).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    Trust::parse(&contents).map(Some).map_err(|fault| format!("{}: {fault}", path.display()))
}

/// Trust file and newest bundle, or a sentence on why nothing can be believed.
pub(super) fn open(path: &Path, folder: &Folder, log: &Log) -> Result<Trust, String> {
    let loaded = load(path).and_then(|found| {
        found.ok_or_else(|| format!("the trust file {} does not exist", path.display()))
    });
    let mut trust = loaded.inspect_err(|fault| {
        log.warn(format_args!("no license can be checked: {fault}"));
    })?;
    // Without it the one in the trust file counts, and a newer one comes with the next answer.
    match folder.view().read(BUNDLE, LARGEST) {
        Ok(None) => {}
        Ok(Some(contents)) => {
            let value: Value = serde_json::from_slice(&contents).unwrap_or_default();
            if let Err(refusal) = trust.accept(value["bundle"].as_str().unwrap_or_default()) {
                log.warn(format_args!("{BUNDLE} is not used: {refusal}"));
            }
        }
        Err(error) => log.warn(error),
    }
    Ok(trust)
}

/// Keeps the bundle in force.
pub(super) fn keep(trust: &Trust, folder: &Folder) -> Result<(), store::Error> {
    let file = json!({"version": 1, "bundle": trust.bundle_token()});
    folder.replace(BUNDLE, format!("{file:#}\n").as_bytes())
}
