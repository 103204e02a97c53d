//! Reminds of the end of the certificate in force, so that nobody is surprised by it.

use super::Summary;
use crate::log::Log;
use crate::util::utc;

const DAY: i64 = 86_400;

/// Days before the end with a line in the log. In the last week it is an error, and `health` tells it too.
const STEPS: [i64; 5] = [1, 3, 7, 14, 30];
const URGENT: i64 = 7;

/// What was logged last.
#[derive(Debug, Default)]
pub(crate) struct ExpiryReminder {
    /// The certificate's fingerprint and the step.
    told: Option<(String, i64)>,
}

impl ExpiryReminder {
    /// Logs a line if one is due at `now` (seconds since 1970): 30, 14, 7, 3 and 1 days before the end, and each
    /// day from then on. To be called every hour or so, and after a change of the certificate.
    pub(crate) fn remind(&mut self, summary: &Summary, now: i64, log: &Log) {
        let Some(step) = step(days_left(summary, now)) else {
            return;
        };
        let due = Some((summary.sha256.clone(), step));
        if self.told == due {
            return;
        }
        self.told = due;
        let sentence = sentence(summary, now);
        if step > URGENT { log.warn(sentence) } else { log.error(sentence) }
    }
}

/// What `health` tells of the certificate at `now`: the error that its dates are, or will be within a week.
pub(crate) fn urgent_expiry(summary: &Summary, now: i64) -> Option<String> {
    let early = || summary.date_error(now).map(|error| format!("the certificate {error}"));
    let late = days_left(summary, now) < URGENT;
    if late { Some(sentence(summary, now)) } else { early() }
}

/// Whole days, rounded down; negative after the end.
fn days_left(summary: &Summary, now: i64) -> i64 {
    (summary.not_after - now).div_euclid(DAY)
}

/// The step that has been reached; `None` while the end is far.
fn step(days_left: i64) -> Option<i64> {
    match days_left {
        ..=0 => Some(days_left),
        _ => STEPS.into_iter().find(|step| days_left <= *step),
    }
}

fn sentence(summary: &Summary, now: i64) -> String {
    let (end, subject) = (utc::format(summary.not_after), &summary.subject);
    match days_left(summary, now) {
        ..0 => format!(
            "the certificate has expired at {end}, so clients refuse it: upload a renewed one for {subject}"
        ),
        0 => format!("the certificate expires today, at {end}: upload a renewed one for {subject}"),
        days => format!(
            "the certificate expires in {days} days, at {end}: upload a renewed one for {subject}"
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::addresses::Host;
    use super::super::{Source, Summary, certificate, default_certificate};
    use super::{DAY, ExpiryReminder, urgent_expiry};
    use crate::log::Log;

    fn summary() -> Summary {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let text = default_certificate::make(now, &Host::detect()).unwrap();
        certificate::from_file(text.as_bytes(), Source::Default).unwrap().summary
    }

    #[test]
    fn a_line_a_step_before_the_end_and_one_a_day_after_it() {
        let (lines, summary) = (Arc::new(Mutex::new(Vec::new())), summary());
        let kept = Arc::clone(&lines);
        let log = Log::to(move |line| kept.lock().unwrap().push(line.to_owned()));
        let mut reminder = ExpiryReminder::default();
        let mut days = Vec::new();
        for hour in (-3 * 24..40 * 24).rev() {
            let before = lines.lock().unwrap().len();
            reminder.remind(&summary, summary.not_after - hour * 3600 - 1, &log);
            if lines.lock().unwrap().len() > before {
                days.push(hour.div_euclid(24));
            }
        }
        assert_eq!(days, [30, 14, 7, 3, 1, 0, -1, -2, -3]);
        let lines = lines.lock().unwrap();
        assert!(
            lines[1].contains(" warning ") && lines[1].contains("expires in 14 days, at 2037-")
        );
        assert!(lines[2].contains(" error ") && lines[2].contains("expires in 7 days"));
        assert!(lines[5].contains("expires today") && lines[6].contains("has expired at 2037-"));
    }

    #[test]
    fn another_certificate_is_told_of_anew() {
        let (count, first, second) = (Arc::new(Mutex::new(0)), summary(), summary());
        let counted = Arc::clone(&count);
        let log = Log::to(move |_| *counted.lock().unwrap() += 1);
        let mut reminder = ExpiryReminder::default();
        for summary in [&first, &first, &second, &second] {
            reminder.remind(summary, summary.not_after - 2 * DAY, &log);
        }
        assert_eq!(*count.lock().unwrap(), 2);
    }

    #[test]
    fn the_last_week_is_urgent() {
        let summary = summary();
        let end = summary.not_after;
        assert_eq!(urgent_expiry(&summary, end - 8 * DAY), None);
        assert!(urgent_expiry(&summary, end - 6 * DAY).unwrap().contains("in 6 days"));
        assert!(urgent_expiry(&summary, end + 1).unwrap().contains("has expired"));
        assert!(
            urgent_expiry(&summary, summary.not_before - 1).unwrap().contains("not valid before")
        );
    }
}
