//! Whether the clock of this machine may be believed.
//!
//! By the clock the authority ends subscriptions, dates leases, and forgets takeovers. One that is wrong by years
//! does that to every appliance that asks, and setting it right undoes none of it. So `serve` writes the time
//! down every minute, in `serve.time`, and answers nobody while its clock is more than a day before the newest
//! time that it has written, or more than a day beyond it: both mean that the clock was set, or that nobody
//! looked at it for more than a day.
//!
//! * A clock that is **before** comes right by itself when it reaches that time, or is set.
//! * A clock that is **beyond** may be right: `serve` was off over the weekend, the machine slept, or the folder was
//!   restored from a backup. Only a person knows, and says `--clock-is-right`, which takes the time at that start
//!   for the newest one, once: the next jump is noticed again. Meanwhile appliances work on with their leases, so
//!   nothing is lost by waiting for the person, and a wrong time is never written down.
//!
//! A clock that drifts, or is set by less than a day at a time, is not noticed: no day more or less is worth a stop.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::store::{self, Error};
use crate::util::utc;

/// Seconds by which a clock may differ from the newest time that is known.
const MOST: i64 = 86_400;

/// Seconds between two times that are written down.
const PACE: i64 = 60;

/// More than the file ever holds, in bytes.
const MOST_BYTES: u64 = 64;

/// The clock, and the newest time that was read from it and believed.
pub(crate) struct Clock {
    file: PathBuf,
    times: Mutex<Times>,
}

struct Times {
    newest: i64,
    /// The newest one on the disk.
    written: i64,
}

/// Whether `now` may be believed when `newest` is the newest time that is known; both in seconds since 1970.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) fn clock_is_sane(now: i64, newest: i64) -> Result<(), String> {
    let difference = now.saturating_sub(newest);
    if difference.saturating_abs() <= MOST {
        return Ok(());
    }
    let (way, next) = if difference < 0 {
        ("before", "set the clock; no appliance is answered until then")
    } else {
        (
            "beyond",
            "set the clock, or start serve with --clock-is-right if it is right; no appliance is answered until then",
        )
    };
    Err(format!(
        "the clock says {}, more than a day {way} the newest time known here, {}: {next}",
        utc::format(now),
        utc::format(newest)
    ))
}

impl Clock {
    /// Reads the newest time from `dir`. The first start, and one with `is_right`, take `now` for it.
    ///
    /// # Errors
    /// When the file can't be read or is damaged.
    pub(crate) fn open(dir: &Path, now: i64, is_right: bool) -> Result<Clock, Error> {
        let file = dir.join("serve.time");
        let newest = match store::read(&file, MOST_BYTES)? {
            Some(text) if !is_right => {
                let time = std::str::from_utf8(&text).ok().and_then(|text| utc::parse(text.trim()));
                time.ok_or_else(|| {
                    Error::new(format!(
                        "{} is damaged: see that the clock is right, and start serve with --clock-is-right",
                        file.display()
                    ))
                })?
            }
            _ => now,
        };
        Ok(Clock { file, times: Mutex::new(Times { newest, written: i64::MIN }) })
    }

    /// Whether `now` may be believed.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(crate) fn check(&self, now: i64) -> Result<(), String> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        clock_is_sane(now, times.newest)?;
        times.newest = times.newest.max(now);
        Ok(())
    }

    /// Writes the newest time down, unless that was done within the last minute; `now` only if it may be believed.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(crate) fn note(&self, now: i64) -> Result<(), Error> {
        let _ = self.check(now);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if times.newest.saturating_sub(times.written) < PACE {
            return Ok(());
        }
        let text = utc::format(times.newest) + "\n";
        store::replace(&self.file, text.as_bytes())?;
        times.written = times.newest;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::{Clock, MOST, PACE, clock_is_sane};
    use crate::store::Scratch;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_day_is_believed_and_a_second_more_is_not() {
        for difference in [0, 1, MOST] {
            assert_eq!(clock_is_sane(NOW + difference, NOW), Ok(()));
            assert_eq!(clock_is_sane(NOW - difference, NOW), Ok(()));
        }
        let told = clock_is_sane(NOW + MOST + 1, NOW).unwrap_err();
        assert!(told.contains("beyond") && told.contains("--clock-is-right"), "{told}");
        let told = clock_is_sane(NOW - MOST - 1, NOW).unwrap_err();
        assert!(told.contains("before") && !told.contains("--clock-is-right"), "{told}");
        assert!(clock_is_sane(i64::MAX, i64::MIN).is_err());
    }

    #[test]
    fn a_jump_is_noticed_while_it_runs_and_between_two_starts() {
        let scratch = Scratch::new();
        let clock = Clock::open(&scratch.0, NOW, false).unwrap();
        for hour in 0..100 {
            clock.note(NOW + hour * 3_600).unwrap();
        }
        let last = NOW + 99 * 3_600;
        assert!(clock.check(last + 2 * MOST).is_err());
        clock.note(last + 2 * MOST).unwrap();
        assert!(clock.check(NOW - MOST).is_err(), "before by more than the way back");
        assert_eq!(clock.check(last), Ok(()), "and it is right again");
        let again = Clock::open(&scratch.0, last + 2 * MOST, false).unwrap();
        assert!(again.check(last + 2 * MOST).is_err(), "a jump was never written down");
        let said = Clock::open(&scratch.0, last + 2 * MOST, true).unwrap();
        assert_eq!(said.check(last + 2 * MOST), Ok(()));
        said.note(last + 2 * MOST).unwrap();
        let after = Clock::open(&scratch.0, last + 2 * MOST, false).unwrap();
        assert_eq!(after.check(last + 2 * MOST), Ok(()), "it is to be said once");
        assert!(after.check(last + 5 * MOST).is_err());
    }

    #[test]
    fn the_time_is_written_once_a_minute_and_never_goes_back() {
        let scratch = Scratch::new();
        let file = scratch.0.join("serve.time");
        let clock = Clock::open(&scratch.0, NOW, false).unwrap();
        clock.note(NOW).unwrap();
        fs::remove_file(&file).unwrap();
        clock.note(NOW + PACE - 1).unwrap();
        assert!(!file.exists());
        clock.note(NOW + PACE).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "2027-01-15T08:01:00Z\n");
        clock.note(NOW - 3_600).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "2027-01-15T08:01:00Z\n");
    }

    #[test]
    fn a_damaged_file_is_told_with_what_to_do() {
        let scratch = Scratch::new();
        store(&scratch, "yesterday");
        let Err(error) = Clock::open(&scratch.0, NOW, false) else { unreachable!() };
        assert!(error.to_string().contains("--clock-is-right"), "{error}");
        assert!(Clock::open(&scratch.0, NOW, true).is_ok());
    }

    fn store(scratch: &Scratch, text: &str) {
        crate::store::replace(&scratch.0.join("serve.time"), text.as_bytes()).unwrap();
    }
}
