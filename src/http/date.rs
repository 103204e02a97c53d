//! The `Date` field of responses.

use std::cell::RefCell;
use std::time::SystemTime;

use crate::util::utc;

thread_local! {
    /// The last second that was formatted, because most responses share their second with others.
    static FORMATTED: RefCell<(i64, String)> = const { RefCell::new((0, String::new())) };
}

/// The current second in the format of RFC 9110 section 5.6.7.
pub(crate) fn now() -> String {
    with_now(str::to_owned)
}

/// Passes [`now`] to `act` without a copy.
pub(crate) fn with_now<T>(act: impl FnOnce(&str) -> T) -> T {
    let second = utc::unix_seconds(SystemTime::now());
    FORMATTED.with_borrow_mut(|(formatted, date)| {
        if *formatted != second || date.is_empty() {
            (*formatted, *date) = (second, utc::http_date(second));
        }
        act(date)
    })
}
