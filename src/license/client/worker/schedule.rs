//! When the worker contacts the authority by itself.
//!
//! Normally every six hours. An unanswered request is repeated with increasing delays. An expired license
//! is renewed as soon as the service can be reached; if the answers leave it expired, the delays increase
//! as well, however often the status is read meanwhile.

use std::time::Duration;

use crate::license::protocol::random::random;
use crate::license::state::clock::BootInstant;

/// Delays before an unanswered request is sent again; the last one repeats.
const RETRY_DELAYS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(900),
];

/// Longest such delay while the license is expired, because transcription stops until it is renewed.
const MAX_RETRY_WHILE_EXPIRED: Duration = Duration::from_secs(60);

/// Delays after answers that left the license expired; the last one repeats.
const USELESS_ANSWER_DELAYS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(900),
    Duration::from_secs(3_600),
];

/// How often changes of the license are requested.
const REFRESH: Duration = Duration::from_secs(6 * 3_600);

/// When the next request is due.
pub(crate) struct Schedule {
    sync: BootInstant,
    retry: Option<BootInstant>,
    /// Consecutive attempts without an answer.
    attempts: usize,
    /// Consecutive answers that left the license expired.
    useless_answers: usize,
    /// Earliest time of the next request after such an answer.
    not_before: BootInstant,
}

impl Schedule {
    /// Due at once: a restart while online receives updates (ML-30).
    pub(crate) fn at_start() -> Schedule {
        let now = BootInstant::now();
        Schedule { sync: now, retry: None, attempts: 0, useless_answers: 0, not_before: now }
    }

    /// Makes a sync due at once, for an administrator.
    pub(crate) fn sync_now(&mut self) {
        *self = Schedule::at_start();
    }

    /// Makes a sync due as early as allowed: the license is expired, or no seconds are left.
    pub(crate) fn sync_soon(&mut self) {
        self.sync = self.sync.min(self.not_before.max(BootInstant::now()));
    }

    /// The service can be reached: ends the delay of a retry.
    pub(crate) fn service_reachable(&mut self) {
        self.retry = None;
        self.attempts = 0;
        self.sync_soon();
    }

    pub(crate) fn is_backing_off(&self) -> bool {
        self.retry.is_some_and(|at| BootInstant::now() < at)
    }

    /// The request was answered; `expired` if the license still allows no transcription.
    pub(crate) fn on_answer(&mut self, expired: bool) {
        self.reset();
        if expired { self.back_off() } else { self.useless_answers = 0 }
    }

    /// Schedules the next regular sync.
    pub(crate) fn reset(&mut self) {
        // A tenth more or less, so that appliances that started together don't ask together.
        let tenth = REFRESH.as_secs() / 10;
        let random = random::<2>().map_or(0, u16::from_be_bytes);
        let jitter = u64::from(random) * 2 * tenth / u64::from(u16::MAX);
        self.sync = BootInstant::now()
            + (REFRESH + Duration::from_secs(jitter)).saturating_sub(Duration::from_secs(tenth));
        self.retry = None;
        self.attempts = 0;
    }

    /// The request got no answer; `expired` as in [`Schedule::on_answer`].
    pub(crate) fn on_failure(&mut self, expired: bool) {
        let longest = if expired { MAX_RETRY_WHILE_EXPIRED } else { REFRESH };
        self.retry = Some(BootInstant::now() + step(&RETRY_DELAYS, self.attempts).min(longest));
        self.attempts += 1;
    }

    /// Delays the next request, although the service can be reached: its answer was of no use.
    pub(crate) fn back_off(&mut self) {
        self.not_before = BootInstant::now() + step(&USELESS_ANSWER_DELAYS, self.useless_answers);
        self.sync = self.sync.max(self.not_before);
        self.useless_answers += 1;
    }

    pub(crate) fn due_in(&self) -> Duration {
        self.retry.unwrap_or(self.sync).due_in()
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due_in().is_zero()
    }
}

fn step(steps: &[Duration], number: usize) -> Duration {
    steps.get(number).or(steps.last()).copied().unwrap_or(REFRESH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_RETRY_WHILE_EXPIRED, REFRESH, Schedule};

    /// How long the authority is not contacted from now on, at least, however often the status is read.
    fn pause(schedule: &mut Schedule) -> Duration {
        schedule.sync_soon();
        schedule.service_reachable();
        schedule.due_in() + Duration::from_millis(900)
    }

    #[test]
    fn while_all_is_well_the_authority_is_asked_every_six_hours() {
        let mut schedule = Schedule::at_start();
        assert!(schedule.is_due());
        schedule.on_answer(false);
        let tenth = REFRESH / 10;
        assert!((REFRESH - tenth * 2..=REFRESH + tenth).contains(&schedule.due_in()));
    }

    #[test]
    fn a_license_that_is_over_is_asked_for_at_once_and_then_ever_more_seldom() {
        let mut schedule = Schedule::at_start();
        schedule.on_answer(false);
        schedule.sync_soon();
        assert!(schedule.is_due());
        for seconds in [1, 15, 60, 900, 3_600, 3_600, 3_600] {
            schedule.on_answer(true);
            assert!(pause(&mut schedule) >= Duration::from_secs(seconds), "{seconds}");
        }
        schedule.sync_now();
        assert!(schedule.is_due(), "a person is heard at once");
    }

    #[test]
    fn a_sign_of_life_ends_the_wait_for_the_network_and_not_for_a_better_answer() {
        let mut schedule = Schedule::at_start();
        for _ in 0..10 {
            schedule.on_failure(true);
        }
        assert!(schedule.is_backing_off() && schedule.due_in() <= MAX_RETRY_WHILE_EXPIRED);
        schedule.on_failure(false);
        assert!(schedule.due_in() > MAX_RETRY_WHILE_EXPIRED);
        schedule.service_reachable();
        assert!(schedule.is_due() && !schedule.is_backing_off());
        for seconds in [1, 15, 60] {
            schedule.on_failure(true);
            schedule.back_off();
            assert!(pause(&mut schedule) >= Duration::from_secs(seconds), "{seconds}");
        }
    }
}
