//! The trust file of the image: the authority's keys as they were when it was built.

use std::path::Path;

use crate::license::protocol::trust::Trust;
use crate::log::Log;
use crate::store;

/// Largest in bytes; real ones have a few thousand.
const LARGEST: u64 = 256 << 10;

/// Reads the trust file; `None` where there is none.
///
/// # Errors
/// A sentence about the file.
pub(crate) fn load(path: &Path) -> Result<Option<Trust>, String> {
    let Some(contents) = store::read(path, LARGEST).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    Trust::parse(&contents).map(Some).map_err(|error| format!("{}: {error}", path.display()))
}

/// The same for the daemon: the keys, or a sentence on why nothing can be believed.
pub(crate) fn open(path: &Path, log: &Log) -> Result<Trust, String> {
    let loaded = load(path).and_then(|found| {
        found.ok_or_else(|| format!("the trust file {} does not exist", path.display()))
    });
    loaded.inspect_err(|error| log.warn(format_args!("no license can be checked: {error}")))
}
