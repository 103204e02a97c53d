//! The effective time, which never goes back: the license's dates are compared with it.
//!
//! A wrong clock breaks nothing, and setting the clock cannot extend a license. The time in an answer of the
//! authority to a current request replaces every earlier assumption, so an error of the authority's clock is
//! corrected by its next answer. A date that may be old, such as that of a certificate, is only a floor: a
//! replay moves nothing. The appliance's own clock is a floor until either of them corrects it, because a
//! machine with a dead battery may show any year. Within one start of the machine, the time that passes is
//! measured by `CLOCK_BOOTTIME`, which cannot be set.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::license::protocol::object::object;
use crate::util::utc;

/// Most seconds by which wall clock and boot clock may differ in a step before one of them counts as set.
const AGREEMENT: i64 = 600;

/// A step back by more than this many seconds is counted.
const REGRESSION: i64 = 86_400;

/// Largest rounding error of a difference of times in whole seconds.
const ROUNDING: i64 = 2;

object! {
    /// The machine's clocks at one moment.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct ClockReading {
        /// The wall clock, in seconds since 1970.
        pub(crate) wall: i64 = number,
        /// Seconds since the machine started, sleep included.
        pub(crate) boot: u64 = unsigned,
        /// Identifies this start of the machine.
        pub(crate) boot_id: String = text(64),
    }
}

impl ClockReading {
    /// Reads the clocks.
    pub(crate) fn now() -> ClockReading {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        ClockReading {
            wall: utc::unix_seconds(SystemTime::now()),
            boot: boottime(),
            boot_id: boot_id.unwrap_or_default().trim().to_owned(),
        }
    }
}

/// Seconds since the machine started, the time it slept included (`CLOCK_BOOTTIME`, clock_gettime(2)).
pub(crate) fn boottime() -> u64 {
    BootInstant::now().0.as_secs()
}

/// An instant within this start of the machine. Unlike [`std::time::Instant`] it counts the time that the
/// machine slept, so a deadline during sleep is due afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BootInstant(Duration);

impl BootInstant {
    pub(crate) fn now() -> BootInstant {
        let now = clock_gettime(ClockId::Boottime);
        let part = u32::try_from(now.tv_nsec).unwrap_or_default();
        BootInstant(Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), part))
    }

    /// The time since then; zero if it is in the future.
    pub(crate) fn elapsed(self) -> Duration {
        BootInstant::now().0.saturating_sub(self.0)
    }

    /// The time until then; zero if it is in the past.
    pub(crate) fn due_in(self) -> Duration {
        self.0.saturating_sub(BootInstant::now().0)
    }
}

impl std::ops::Add<Duration> for BootInstant {
    type Output = BootInstant;

    fn add(self, pause: Duration) -> BootInstant {
        BootInstant(self.0.saturating_add(pause))
    }
}

object! {
    /// What is known about the time, saved with the license.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub(crate) struct Clock {
        /// The latest time from an answer of the authority, or a later signed date.
        hard_floor: i64 = number,
        /// The latest plausible time of the machine's own clock.
        soft_floor: i64 = number,
        /// Number of steps back by more than a day.
        pub(crate) regressions: u64 = unsigned,
        last: Option<ClockReading> = present(ClockReading::read),
    }
}

impl Clock {
    /// Takes a reading into account. Returns the effective time in seconds since 1970, which never goes back.
    pub(crate) fn observe(&mut self, reading: &ClockReading) -> i64 {
        if let Some(last) = self.last.replace(reading.clone()) {
            let stepped = reading.wall.saturating_sub(last.wall);
            if last.boot_id == reading.boot_id {
                let passed = seconds(reading.boot.saturating_sub(last.boot));
                self.hard_floor = later(self.hard_floor, passed);
                self.soft_floor = later(self.soft_floor, passed);
                if stepped.abs_diff(passed) <= AGREEMENT.unsigned_abs() {
                    self.soft_floor = self.soft_floor.max(reading.wall);
                }
            }
            if stepped < -REGRESSION {
                self.regressions = self.regressions.saturating_add(1);
            }
        }
        reading.wall.max(self.hard_floor).max(self.soft_floor)
    }

    /// Takes over `server_time` from an answer of the authority that arrived at `reading`, to a request sent at
    /// `sent_at`, in seconds of `CLOCK_BOOTTIME` in this start of the machine. It corrects every earlier
    /// assumption, backwards too: it was sealed with a key inside the request, so it cannot be old.
    ///
    /// The answer may have been held back, at most since the request was sent. So the true time lies between
    /// `server_time` and that much later, and the floor moves only into this range: holding answers back
    /// gains nothing.
    pub(crate) fn correct(&mut self, server_time: i64, sent_at: u64, reading: &ClockReading) {
        self.observe(reading);
        let held = seconds(reading.boot.saturating_sub(sent_at)).saturating_add(ROUNDING);
        self.hard_floor = self.hard_floor.clamp(server_time, server_time.saturating_add(held));
        self.soft_floor = self.hard_floor;
    }

    /// Takes over the date of a signed document, of any age, that arrived at `reading`. It corrects the soft
    /// floor, backwards too, but never below the hard floor.
    pub(crate) fn observe_date(&mut self, date: i64, reading: &ClockReading) {
        self.observe(reading);
        self.hard_floor = self.hard_floor.max(date);
        self.soft_floor = self.hard_floor;
    }

    /// The effective time at `reading`, without a change.
    pub(crate) fn at(&self, reading: &ClockReading) -> i64 {
        self.clone().observe(reading)
    }

    /// The effective time without the soft floor: the wall clock, but not earlier than the hard floor. Used to
    /// judge documents that may correct the soft floor, which must not be refused because of it.
    pub(crate) fn without_soft_floor(&self, reading: &ClockReading) -> i64 {
        let mut clock = self.clone();
        clock.observe(reading);
        reading.wall.max(clock.hard_floor)
    }
}

fn seconds(passed: u64) -> i64 {
    i64::try_from(passed).unwrap_or(i64::MAX)
}

/// Raises a floor by the time that passed; a floor that was never set remains zero.
fn later(floor: i64, passed: i64) -> i64 {
    if floor == 0 { 0 } else { floor.saturating_add(passed) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Clock, ClockReading, ROUNDING};
    use crate::license::protocol::fields::Fields;
    use crate::util::utc;

    const DAY: i64 = 86_400;
    const NOON: i64 = 1_763_726_400; // 2025-11-21T12:00:00Z

    fn at(wall: i64, boot: u64) -> ClockReading {
        ClockReading { wall, boot, boot_id: "first".to_owned() }
    }

    fn rebooted(wall: i64, boot: u64) -> ClockReading {
        ClockReading { boot_id: "second".to_owned(), ..at(wall, boot) }
    }

    fn running() -> Clock {
        let mut clock = Clock::default();
        clock.correct(NOON, 1_000, &at(NOON, 1_000));
        assert_eq!(clock.observe(&at(NOON + 60, 1_060)), NOON + 60);
        clock
    }

    #[test]
    fn a_clock_that_is_set_back_gains_nothing_and_only_a_day_is_counted() {
        for (back, counted) in [(3_600, 0), (DAY, 0), (DAY + 61, 1), (5 * 365 * DAY, 1)] {
            let mut clock = running();
            assert_eq!(clock.observe(&at(NOON + 120 - back, 1_120)), NOON + 120, "{back}");
            assert_eq!(clock.regressions, counted, "{back}");
            assert_eq!(clock.observe(&at(NOON + 180 - back, 1_180)), NOON + 180, "{back}");
            assert_eq!(clock.observe(&at(NOON + 240, 1_240)), NOON + 240, "{back}");
        }
    }

    #[test]
    fn a_clock_held_still_gains_nothing() {
        let mut clock = running();
        for hour in 1..48 {
            let passed = hour * 3_600;
            let now = clock.observe(&at(NOON + 60, 1_060 + passed));
            assert_eq!(now, NOON + 60 + i64::try_from(passed).unwrap());
        }
    }

    #[test]
    fn a_leap_ahead_ends_with_the_next_signed_time() {
        let mut clock = running();
        let far = 4_070_908_800; // 2099
        assert_eq!(clock.observe(&at(far, 1_120)), far);
        assert_eq!(clock.observe(&rebooted(far + 60, 30)), far + 60);
        assert_eq!(clock.observe(&rebooted(far + 120, 90)), far + 120);
        // Back to today: the soft floor stands until a signed time corrects it.
        assert!(clock.observe(&rebooted(NOON + 300, 150)) >= far);
        assert_eq!(clock.without_soft_floor(&rebooted(NOON + 300, 150)), NOON + 300);
        assert_eq!(clock.without_soft_floor(&rebooted(NOON - DAY, 150)), NOON + 240);
        clock.correct(NOON + 310, 159, &rebooted(NOON + 310, 160));
        assert_eq!(clock.observe(&rebooted(NOON + 320, 170)), NOON + 320);
    }

    #[test]
    fn a_leap_that_is_undone_at_once_leaves_no_trace() {
        let mut clock = running();
        let year = clock.observe(&at(NOON + 365 * DAY, 1_120));
        assert_eq!(year, NOON + 365 * DAY);
        assert_eq!(clock.observe(&at(NOON + 180, 1_180)), NOON + 180);
    }

    #[test]
    fn a_machine_without_a_clock_starts_where_it_was() {
        let mut clock = running();
        assert!(clock.observe(&rebooted(0, 5)) >= NOON + 60);
        assert_eq!(clock.observe(&rebooted(60, 65)), NOON + 60 + 60);
    }

    #[test]
    fn a_signed_date_never_takes_time_back() {
        let mut clock = running();
        clock.observe_date(NOON - DAY, &at(NOON + 120, 1_120));
        assert_eq!(clock.observe(&at(NOON - DAY, 1_180)), NOON + 180);
    }

    #[test]
    fn an_answer_corrects_one_that_was_wrong_and_a_date_that_was() {
        for wrong in [31 * DAY, 200 * DAY, -200 * DAY] {
            let mut clock = running();
            clock.correct(NOON + 100 + wrong, 1_099, &at(NOON + 100, 1_100));
            clock.correct(NOON + 200, 1_199, &at(NOON + 200, 1_200));
            let now = clock.observe(&at(NOON + 200, 1_200));
            assert!((NOON + 200..=NOON + 201 + ROUNDING).contains(&now), "{wrong}: {now}");
        }
        let mut clock = running();
        clock.observe_date(NOON + 100 * DAY, &at(NOON + 100, 1_100));
        assert_eq!(clock.observe(&at(NOON + 160, 1_160)), NOON + 100 * DAY + 60);
        clock.correct(NOON + 200, 1_200, &at(NOON + 200, 1_200));
        assert_eq!(clock.observe(&at(NOON + 200, 1_200)), NOON + 200 + ROUNDING);
    }

    #[test]
    fn setting_the_clock_back_and_holding_answers_back_gains_nothing() {
        // The authority answers each request at once, and the answer is delayed, even by a sleep.
        for held in [0, 1, 120, 30 * DAY] {
            let (mut clock, mut boot) = (running(), 1_060);
            for _ in 0..50 {
                let (asked, told) = (boot, NOON - 1_000 + i64::try_from(boot).unwrap());
                boot += u64::try_from(held).unwrap();
                let back = at(NOON - 365 * DAY, boot);
                clock.correct(told, asked, &back);
                assert!(clock.observe(&back) >= told + held, "held for {held}");
                boot += 60;
            }
        }
    }

    #[test]
    fn a_leap_day_is_a_day() {
        let mut clock = Clock::default();
        let eve = utc::parse("2028-02-28T23:59:59Z").unwrap();
        clock.correct(eve, 10, &at(eve, 10));
        assert_eq!(utc::format(clock.observe(&at(eve + 1, 11))), "2028-02-29T00:00:00Z");
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut clock = running();
        clock.observe(&at(NOON - 3 * DAY, 1_120));
        let written = serde_json::json!(clock);
        assert_eq!(Clock::read(&Fields::of(&written).unwrap()), Ok(clock));
    }
}
