//! Time that does not go back: what the license's dates are compared with.
//!
//! Nothing breaks on a wrong clock, and nothing is gained by one. Signed time is a floor for good;
//! the appliance's own clock is a floor until the next signed time corrects it, for a machine with a
//! dead battery may believe in any year. Within one start of the machine the time that passes is
//! `CLOCK_BOOTTIME`'s, which nobody can set.

use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::utc;

/// Wall clock and boot clock may differ by so many seconds in a step before one of them counts as set.
const AGREEMENT: i64 = 600;

/// A step back of more than so many seconds is counted.
const REGRESSION: i64 = 86_400;

/// What the machine's clocks say at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Seconds since 1970, as far as the machine knows.
    pub wall: i64,
    /// Seconds since the machine started, sleep included.
    pub boot: u64,
    /// Names this start of the machine.
    pub boot_id: String,
}

impl Reading {
    /// Looks at the clocks.
    pub fn now() -> Reading {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Reading {
            wall: utc::unix_seconds(SystemTime::now()),
            boot: boottime(),
            boot_id: boot_id.unwrap_or_default().trim().to_owned(),
        }
    }
}

/// Seconds since the machine started, the time it slept included (`CLOCK_BOOTTIME`, clock_gettime(2)).
pub fn boottime() -> u64 {
    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or_default()
}

/// What is known about time, kept with the license.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock {
    /// Latest signed time seen.
    hard_floor: i64,
    /// Latest time of our own that could be believed.
    soft_floor: i64,
    last: Option<Reading>,
    /// Steps back of more than a day.
    pub regressions: u64,
}

impl Clock {
    /// The time that counts, in seconds since 1970: never earlier than it was.
    pub fn look(&mut self, reading: &Reading) -> i64 {
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

    /// A time that the authority signed or sealed, heard at `reading`: it corrects what the machine
    /// believed, also backwards, though never to before another signed time.
    pub fn hear(&mut self, signed: i64, reading: &Reading) {
        self.look(reading);
        self.hard_floor = self.hard_floor.max(signed);
        self.soft_floor = self.hard_floor;
    }

    /// The effective time without moving anything.
    pub fn at(&self, reading: &Reading) -> i64 {
        self.clone().look(reading)
    }

    /// The same without what the machine believed by itself: no earlier than what was signed, else what
    /// it says now. For whatever may correct a belief, which that belief must not refuse.
    pub fn unless_believed(&self, reading: &Reading) -> i64 {
        let mut clock = self.clone();
        clock.look(reading);
        reading.wall.max(clock.hard_floor)
    }

    /// For `license.json`.
    pub fn to_json(&self) -> Value {
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
    pub fn from_json(value: &Value) -> Option<Clock> {
        let last = match &value["last"] {
            Value::Null => None,
            last => Some(Reading {
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

    use super::{Clock, Reading};
    use crate::utc;

    const DAY: i64 = 86_400;
    const NOON: i64 = 1_763_726_400; // 2025-11-21T12:00:00Z

    fn at(wall: i64, boot: u64) -> Reading {
        Reading { wall, boot, boot_id: "first".to_owned() }
    }

    fn rebooted(wall: i64, boot: u64) -> Reading {
        Reading { boot_id: "second".to_owned(), ..at(wall, boot) }
    }

    fn running() -> Clock {
        let mut clock = Clock::default();
        clock.hear(NOON, &at(NOON, 1_000));
        assert_eq!(clock.look(&at(NOON + 60, 1_060)), NOON + 60);
        clock
    }

    #[test]
    fn a_clock_that_is_set_back_gains_nothing_and_only_a_day_is_counted() {
        for (back, counted) in [(3_600, 0), (DAY, 0), (DAY + 61, 1), (5 * 365 * DAY, 1)] {
            let mut clock = running();
            assert_eq!(clock.look(&at(NOON + 120 - back, 1_120)), NOON + 120, "{back}");
            assert_eq!(clock.regressions, counted, "{back}");
            assert_eq!(clock.look(&at(NOON + 180 - back, 1_180)), NOON + 180, "{back}");
            assert_eq!(clock.look(&at(NOON + 240, 1_240)), NOON + 240, "{back}");
        }
    }

    #[test]
    fn a_clock_held_still_gains_nothing() {
        let mut clock = running();
        for hour in 1..48 {
            let passed = hour * 3_600;
            let now = clock.look(&at(NOON + 60, 1_060 + passed));
            assert_eq!(now, NOON + 60 + i64::try_from(passed).unwrap());
        }
    }

    #[test]
    fn a_leap_ahead_ends_with_the_next_signed_time() {
        let mut clock = running();
        let far = 4_070_908_800; // 2099
        assert_eq!(clock.look(&at(far, 1_120)), far);
        assert_eq!(clock.look(&rebooted(far + 60, 30)), far + 60);
        assert_eq!(clock.look(&rebooted(far + 120, 90)), far + 120);
        // Back to today: what the machine believed still stands until somebody signs otherwise.
        assert!(clock.look(&rebooted(NOON + 300, 150)) >= far);
        assert_eq!(clock.unless_believed(&rebooted(NOON + 300, 150)), NOON + 300);
        assert_eq!(clock.unless_believed(&rebooted(NOON - DAY, 150)), NOON + 240);
        clock.hear(NOON + 310, &rebooted(NOON + 310, 160));
        assert_eq!(clock.look(&rebooted(NOON + 320, 170)), NOON + 320);
    }

    #[test]
    fn a_leap_that_is_undone_at_once_leaves_no_trace() {
        let mut clock = running();
        let year = clock.look(&at(NOON + 365 * DAY, 1_120));
        assert_eq!(year, NOON + 365 * DAY);
        assert_eq!(clock.look(&at(NOON + 180, 1_180)), NOON + 180);
    }

    #[test]
    fn a_machine_without_a_clock_starts_where_it_was() {
        let mut clock = running();
        assert!(clock.look(&rebooted(0, 5)) >= NOON + 60);
        assert_eq!(clock.look(&rebooted(60, 65)), NOON + 60 + 60);
    }

    #[test]
    fn signed_time_never_goes_back() {
        let mut clock = running();
        clock.hear(NOON - DAY, &at(NOON + 120, 1_120));
        assert_eq!(clock.look(&at(NOON - DAY, 1_180)), NOON + 180);
    }

    #[test]
    fn a_leap_day_is_a_day() {
        let mut clock = Clock::default();
        let eve = utc::parse("2028-02-28T23:59:59Z").unwrap();
        clock.hear(eve, &at(eve, 10));
        assert_eq!(utc::format(clock.look(&at(eve + 1, 11))), "2028-02-29T00:00:00Z");
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut clock = running();
        clock.look(&at(NOON - 3 * DAY, 1_120));
        assert_eq!(Clock::from_json(&clock.to_json()), Some(clock));
        assert_eq!(Clock::from_json(&serde_json::Value::Null), None);
    }
}
