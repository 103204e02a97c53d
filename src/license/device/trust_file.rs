//! The trust file of the image: the authority's keys as they were when it was built.

use std::path::Path;

use crate::license::protocol::trust::Trust;
use crate::log::Log;
use crate::store::{self, Error};

/// Largest in bytes; real ones have a few thousand.
const LARGEST: u64 = 256 << 10;

/// Reads the trust file; `None` if it does not exist.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn load(path: &Path) -> Result<Option<Trust>, Error> {
    let Some(contents) = store::read(path, LARGEST)? else {
        return Ok(None);
    };
    Trust::parse(&contents)
        .map(Some)
        .map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

/// Reads the trust file for the daemon, and logs why no license can be verified without it.
pub(crate) fn open(path: &Path, log: &Log) -> Result<Trust, Error> {
    let loaded = load(path).and_then(|found| {
        found.ok_or_else(|| Error::new(format!("the trust file {} does not exist", path.display())))
    });
    loaded.inspect_err(|error| log.warn(format_args!("no license can be verified: {error}")))
}
