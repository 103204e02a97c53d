//! Waiting for a condition, with a limit.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// How long a test waits for what should take milliseconds; generous, so that a busy machine is not a failure.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Polls `condition` until it gives a value; after `limit` the test fails naming `what`.
pub(crate) fn until<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    match within(limit, &mut condition) {
        Some(value) => value,
        None => panic!("waited {limit:?} in vain until {what}"),
    }
}

/// Polls `condition` until it gives a value or `limit` has passed.
pub(crate) fn within<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Repeats a call that a machine that was stopped for a moment has interrupted: a socket with a time limit
/// tells of that (signal(7)).
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
