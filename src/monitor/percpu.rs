//! `percpu`: the values of `cpu` for each online processor.

use serde_json::{Value, json};

use super::cpu::{IDLE, Times, numbers};
use super::interval::Interval;
use super::tenths;

pub(super) fn stats(interval: &Interval) -> Result<Value, String> {
    let (before, now) = (&interval.before.stat, &interval.now.stat);
    if now.is_empty() {
        return Err("/proc/stat can't be read".into());
    }
    let all = numbers(now).filter_map(|number| {
        let name = format!("cpu{number}");
        let spent = Times::of(now, &name)?.since(Times::of(before, &name));
        let own = [
            ("key", json!("cpu_number")),
            ("cpu_number", json!(number)),
            ("total", json!(tenths(100.0 - spent.share(IDLE)))),
        ];
        Some(own.into_iter().chain(spent.shares()).collect::<Value>())
    });
    Ok(all.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::cpu::tests::{BEFORE, NOW, interval};
    use super::stats;

    #[test]
    fn every_processor_has_its_own_shares() {
        let seen = stats(&interval(BEFORE, NOW)).unwrap();
        assert_eq!(
            seen[1].to_string(),
            r#"{"key":"cpu_number","cpu_number":1,"total":62.5,"user":0.0,"system":50.0,"idle":37.5,"nice":0.0,"iowait":12.5,"irq":0.0,"softirq":0.0,"steal":0.0,"guest":0.0,"guest_nice":0.0}"#
        );
        assert_eq!((&seen[0]["user"], &seen[0]["total"]), (&83.3.into(), &100.0.into()));
        assert_eq!(seen.as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_processor_that_came_meanwhile_counts_from_its_coming() {
        let before = BEFORE.replace("cpu1", "cpu7");
        assert_eq!(stats(&interval(&before, NOW)).unwrap()[1]["cpu_number"], 1);
        assert!(stats(&interval(BEFORE, "")).is_err());
    }
}
