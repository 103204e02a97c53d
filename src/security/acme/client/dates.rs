//! The dates of an authority: RFC 3339 in its answers, and the field `Retry-After` (RFC 9110 section 10.2.3).

use std::time::Duration;

use crate::util::utc;

/// Longest time that `Retry-After` may ask for; beyond it is a mistake, and may not fit a clock.
const LONGEST_WAIT: u64 = 7 * 86_400;

/// Reads seconds or a date; a date that has passed asks for no waiting. `now` is in seconds since 1970.
pub(super) fn retry_after(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    let seconds = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        value.parse().unwrap_or(u64::MAX)
    } else {
        u64::try_from(http_date(value)?.saturating_sub(now)).unwrap_or(0)
    };
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers may still write (RFC 9110 section 5.6.7).
fn http_date(value: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = value.split(' ').collect();
    let [_, day, month, year, clock, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    utc::parse(&format!("{year}-{month:02}-{day}T{clock}Z"))
}

/// Reads a date of RFC 3339, with fractions of a second and any offset, as seconds since 1970.
pub(super) fn rfc3339(date: &str) -> Option<i64> {
    let (seconds, rest) = date.split_at_checked(19)?;
    let local = utc::parse(&format!("{}Z", seconds.to_ascii_uppercase()))?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == fraction.len() {
                return None;
            }
            offset
        }
        None => rest,
    };
    match offset.as_bytes() {
        b"Z" | b"z" => Some(local),
        [sign @ (b'+' | b'-'), h @ .., b':', m1, m2] if h.len() == 2 => {
            let digits = [h, &[*m1, *m2]].concat();
            if !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let number: i64 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
            let ahead = number / 100 * 3_600 + number % 100 * 60;
            Some(if *sign == b'+' { local - ahead } else { local + ahead })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{retry_after, rfc3339};

    #[test]
    fn a_wait_is_seconds_or_a_date_and_at_most_a_week() {
        let wait = |value| retry_after(value, 784_111_777).map(|wait| wait.as_secs());
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait(" 0 "), Some(0));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        for far in
            ["18446744073709551615", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]
        {
            assert_eq!(retry_after(far, 0), Some(Duration::from_secs(604_800)), "{far}");
        }
        for odd in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994", "Sun, 31 Feb 1994 08:49:37 GMT"] {
            assert_eq!(wait(odd), None, "{odd}");
        }
    }

    #[test]
    fn dates_may_have_fractions_and_offsets() {
        for date in [
            "2021-10-16T12:26:37Z",
            "2021-10-16t12:26:37z",
            "2021-10-16T12:26:37.123456789Z",
            "2021-10-16T14:26:37+02:00",
            "2021-10-16T06:56:37.5-05:30",
        ] {
            assert_eq!(rfc3339(date), Some(1_634_387_197), "{date}");
        }
        for date in [
            "",
            "2021-10-16",
            "2021-10-16T12:26:37",
            "2021-10-16T12:26:37.Z",
            "2021-10-16T12:26:37+2:00",
            "2021-10-16T12:26:37+0200",
            "2021-10-16T12:26:37+-2:00",
            "2021-02-30T12:26:37Z",
            "\u{20ac}021-10-16T12:26:37Z",
        ] {
            assert_eq!(rfc3339(date), None, "{date}");
        }
    }
}
