//! The `Date` of answers.

use std::cell::RefCell;
use std::time::SystemTime;

use crate::util::utc;

thread_local! {
    /// A second and how HTTP writes it: most answers are not the first in theirs.
    static WRITTEN: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
}

/// This second, as RFC 9110 section 5.6.7 has it.
pub(crate) fn now() -> String {
    with_now(str::to_owned)
}

/// Lends it.
pub(crate) fn with_now<T>(use_it: impl FnOnce(&str) -> T) -> T {
    let second = utc::unix_seconds(SystemTime::now());
    WRITTEN.with_borrow_mut(|(written, date)| {
        if *written != second || date.is_empty() {
            (*written, *date) = (second, utc::http_date(second));
        }
        use_it(date)
    })
}
