//! Random numbers, and the error of the cryptographic library.

use std::fmt;
use std::thread;

/// The cryptographic library or the system's random source failed; no input of a caller causes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CryptoError;

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cryptographic library failed: restart the machine, and report it")
    }
}

impl std::error::Error for CryptoError {}

/// `N` unpredictable bytes.
///
/// # Errors
/// When the system's random source fails.
pub fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    on_new_thread(|| {
        let mut bytes = [0; N];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CryptoError)?;
        Ok(bytes)
    })
}

/// Runs `work` on a new thread, whose random number generator takes its seed from the kernel at that
/// moment. aws-lc keeps a generator for each thread in memory; machines resumed from one snapshot of it
/// would draw the same numbers for a while, and two requests sealed with the same keys would reveal
/// each other.
pub(crate) fn on_new_thread<T: Send>(
    work: impl FnOnce() -> Result<T, CryptoError> + Send,
) -> Result<T, CryptoError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, work).map_err(|_| CryptoError)?;
        thread.join().map_err(|_| CryptoError)?
    })
}
