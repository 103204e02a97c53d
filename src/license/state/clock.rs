//! Time that does not go back: what the license's dates are compared with.
//!
//! Nothing breaks on a wrong clock, and nothing is gained by one. What the authority answers to a question
//! of now is the time, whatever was believed before, so a clock that was wrong there is forgiven here
//! with the next answer. A date that somebody may have kept, such as a certificate's, is a floor and no
//! more: played again it moves nothing. The appliance's own clock is a floor until either corrects it, for a
//! machine with a dead battery may believe in any year. Within one start of the machine the time that
//! passes is `CLOCK_BOOTTIME`'s, which nobody can set.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::util::utc;

/// Wall clock and boot clock may differ by so many seconds in a step before one of them counts as set.
const AGREEMENT: i64 = 600;

/// A step back of more than so many seconds is counted.
const REGRESSION: i64 = 86_400;

/// Whole seconds on both sides: a difference of two may be off by so many.
const ROUNDING: i64 = 2;

/// What the machine's clocks say at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClockReading {
    /// Seconds since 1970, as far as the machine knows.
    pub(crate) wall: i64,
    /// Seconds since the machine started, sleep included.
    pub(crate) boot: u64,
    /// Names this start of the machine.
    pub(crate) boot_id: String,
}

impl ClockReading {
    /// Looks at the clocks.
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

/// A moment of this start of the machine. Other than [`std::time::Instant`] it counts the time that the
/// machine slept, so what was due meanwhile is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BootInstant(Duration);

impl BootInstant {
    pub(crate) fn now() -> BootInstant {
        let now = clock_gettime(ClockId::Boottime);
        let part = u32::try_from(now.tv_nsec).unwrap_or_default();
        BootInstant(Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), part))
    }

    /// How long ago it was; nothing if it is yet to come.
    pub(crate) fn elapsed(self) -> Duration {
        BootInstant::now().0.saturating_sub(self.0)
    }

    /// How long until it comes; nothing if it was.
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

/// What is known about time, kept with the license.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    /// What the authority said the time is, or signed since.
    hard_floor: i64,
    /// Latest time of our own that could be believed.
    soft_floor: i64,
    last: Option<ClockReading>,
    /// Steps back of more than a day.
    pub(crate) regressions: u64,
}

impl Clock {
    /// The time that counts, in seconds since 1970: never earlier than it was.
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

    /// The time that the authority told in its answer to a question of `asked`, seconds of `CLOCK_BOOTTIME`
    /// in this start of the machine, heard at `reading`. It corrects everything that was believed,
    /// backwards too: it was sealed with a key that was inside the question, so it can't be an old one.
    ///
    /// It may have been held back, for no longer than has passed since the question. So the true time is
    /// from `told` to that much later, and what was believed gives way no further than to there: who
    /// holds answers back gains nothing.
    pub(crate) fn correct(&mut self, told: i64, asked: u64, reading: &ClockReading) {
        self.observe(reading);
        let held = seconds(reading.boot.saturating_sub(asked)).saturating_add(ROUNDING);
        self.hard_floor = self.hard_floor.clamp(told, told.saturating_add(held));
        self.soft_floor = self.hard_floor;
    }

    /// The date of something signed, heard at `reading`, which may be as old as it likes: it corrects what
    /// the machine believed by itself, also backwards, though never to before what the authority said.
    pub(crate) fn observe_date(&mut self, date: i64, reading: &ClockReading) {
        self.observe(reading);
        self.hard_floor = self.hard_floor.max(date);
        self.soft_floor = self.hard_floor;
    }

    /// The effective time without moving anything.
    pub(crate) fn at(&self, reading: &ClockReading) -> i64 {
        self.clone().observe(reading)
    }

    /// The same without what the machine believed by itself: no earlier than what was signed, else what
    /// it says now. For whatever may correct a belief, which that belief must not refuse.
    pub(crate) fn without_soft_floor(&self, reading: &ClockReading) -> i64 {
        let mut clock = self.clone();
        clock.observe(reading);
        reading.wall.max(clock.hard_floor)
    }

    /// For `license.json`.
    pub(crate) fn to_json(&self) -> Value {
        let last = self
            .last
            .as_ref()
            .map(|last| json!({"wall": last.wall, "boot": last.boot, "boot_id": last.boot_id}));
        json!({
            "hard_floor": self.hard_floor, "soft_floor": self.soft_floor,
            "regressions": self.regressions, "last": last,
        })
    }

    /// `None` if it is not what [`Clock::to_json`] wrote.
    pub(crate) fn from_json(value: &Value) -> Option<Clock> {
        let last = match &value["last"] {
            Value::Null => None,
            last => Some(ClockReading {
                wall: last["wall"].as_i64()?,
                boot: last["boot"].as_u64()?,
                boot_id: last["boot_id"].as_str()?.to_owned(),
            }),
        };
        Some(Clock {
            hard_floor: value["hard_floor"].as_i64()?,
            soft_floor: value["soft_floor"].as_i64()?,
            regressions: value["regressions"].as_u64()?,
            last,
        })
    }
}

fn seconds(passed: u64) -> i64 {
    i64::try_from(passed).unwrap_or(i64::MAX)
}

/// A floor rises with time; one that was never set stays out of the way.
fn later(floor: i64, passed: i64) -> i64 {
    if floor == 0 { 0 } else { floor.saturating_add(passed) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Clock, ClockReading, ROUNDING};
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
        // Back to today: what the machine believed still stands until somebody signs otherwise.
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
    fn who_sets_the_clock_back_and_holds_answers_back_gains_nothing() {
        // Each question is answered at once by the authority and let through later, after a sleep even.
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
        assert_eq!(Clock::from_json(&clock.to_json()), Some(clock));
        assert_eq!(Clock::from_json(&serde_json::Value::Null), None);
    }
}
