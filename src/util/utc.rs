//! Formats seconds since 1970 as UTC dates, without a time zone database.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01T00:00:00Z; negative before that. Saturates outside `i64`.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX).saturating_add(1)
        }
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`, the form of `subscription_expiry` (ML-9).
pub(crate) fn format(unix_seconds: i64) -> String {
    let (days, second) = (unix_seconds.div_euclid(86_400), unix_seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

/// Parses what [`format()`] wrote; `None` for anything else.
pub(crate) fn parse(date: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> { date.get(from..to)?.parse().ok() };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let clock = number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    // Uses the eras of `civil` in reverse.
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year_from_march.div_euclid(400), year_from_march.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let seconds = (era * 146_097 + day_of_era - 719_468) * 86_400 + clock;
    // An invalid date, such as February 30, does not format back to itself.
    (format(seconds) == date).then_some(seconds)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the form of HTTP's `Date` (RFC 9110 section 5.6.7).
pub(crate) fn http_date(unix_seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]; // 1970-01-01 was a Thursday
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = |names: &'static [&str], at: i64| {
        usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default()
    };
    let (days, second) = (unix_seconds.div_euclid(86_400), unix_seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!(
        "{}, {day:02} {} {year:04} {hour:02}:{minute:02}:{:02} GMT",
        name(&DAYS, days.rem_euclid(7)),
        name(&MONTHS, month - 1),
        second % 60
    )
}

/// Converts days since 1970-01-01 to the proleptic Gregorian date.
///
/// Counts in eras of 400 years (146,097 days) that begin on 1 March, so that the leap day is the
/// last day of its year and needs no special case.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468; // 0000-03-01 to 1970-01-01
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{format, http_date, parse};

    #[test]
    fn http_dates_are_those_of_the_rfc() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn dates_are_written_as_the_manual_writes_them() {
        assert_eq!(format(0), "1970-01-01T00:00:00Z");
        assert_eq!(format(1_634_387_197), "2021-10-16T12:26:37Z");
        assert_eq!(format(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(format(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(format(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(format(-1), "1969-12-31T23:59:59Z");
    }
    #[test]
    fn a_written_date_is_read_again() {
        for seconds in
            [0, 1_634_387_197, 951_782_399, 951_782_400, 4_107_542_400, -1, 253_402_300_799]
        {
            assert_eq!(parse(&format(seconds)), Some(seconds));
        }
        for date in [
            "",
            "2021-02-30T00:00:00Z",
            "2021-13-01T00:00:00Z",
            "2021-10-16 12:26:37",
            "2021-10-16T12:26:37+",
            "\u{e4}021-10-16T12:26:37Z",
            "2021-10-16T24:00:00Z",
        ] {
            assert_eq!(parse(date), None, "{date}");
        }
    }
}
