//! `cpu`: the load of all processors together, in percent of the interval, from `/proc/stat` (proc(5)).

use serde_json::{Value, json};

use super::interval::Interval;
use super::percent;

pub(super) fn stats(interval: &Interval) -> Result<Value, String> {
    let (before, now) = (&interval.before.stat, &interval.now.stat);
    let times = Times::of(now, "cpu").ok_or("/proc/stat has no \"cpu\" line".to_owned())?;
    let spent = times.since(Times::of(before, "cpu"));
    let count = |name| first_number(now, name).saturating_sub(first_number(before, name));
    let counts = [
        ("ctx_switches", json!(count("ctxt"))),
        ("interrupts", json!(count("intr"))),
        ("soft_interrupts", json!(count("softirq"))),
        // Linux does not count them.
        ("syscalls", json!(0)),
        ("time_since_update", json!(interval.seconds)),
        ("cpucore", json!(logical(now))),
    ];
    Ok([("total", json!(spent.busy()))].into_iter().chain(spent.shares()).chain(counts).collect())
}

/// Number of online processors.
pub(super) fn logical(stat: &str) -> usize {
    numbers(stat).count()
}

/// The numbers of the online processors, in the kernel's order.
pub(super) fn numbers(stat: &str) -> impl Iterator<Item = u32> {
    stat.lines().filter_map(|line| line.strip_prefix("cpu")?.split(' ').next()?.parse().ok())
}

fn first_number(stat: &str, name: &str) -> u64 {
    let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

// Columns of a line of `/proc/stat`.
pub(super) const IDLE: usize = 3;
const IOWAIT: usize = 4;
const GUEST: usize = 8;

/// All states and their columns, in Glances' order.
#[rustfmt::skip]
const STATES: [(&str, usize); 10] = [
    ("user", 0), ("system", 2), ("idle", IDLE), ("nice", 1), ("iowait", IOWAIT),
    ("irq", 5), ("softirq", 6), ("steal", 7), ("guest", GUEST), ("guest_nice", 9),
];

/// Ticks spent in each state since the boot, or in an interval.
#[derive(Clone, Copy, Default)]
pub(super) struct Times([u64; 10]);

impl Times {
    /// Parses the line of `cpu` or `cpuN`; columns that kernels before 2.6.33 lack are 0.
    pub(super) fn of(stat: &str, name: &str) -> Option<Times> {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let mut times = Times::default();
        for (time, number) in times.0.iter_mut().zip(line.split_ascii_whitespace()) {
            *time = number.parse().ok()?;
        }
        Some(times)
    }

    /// Ticks since `before`. Idle and waiting times may go back a little (proc(5)); that counts as 0.
    pub(super) fn since(self, before: Option<Times>) -> Times {
        let before = before.unwrap_or_default();
        Times(std::array::from_fn(|way| self.0[way].saturating_sub(before.0[way])))
    }

    /// All ticks. Guest times are included in `user` and `nice`.
    fn whole(&self) -> u64 {
        self.0[..GUEST].iter().sum()
    }

    /// Percent of the time spent in one state.
    pub(super) fn share(&self, way: usize) -> f64 {
        percent(self.0[way], self.whole()).min(100.0)
    }

    /// Percent of the time spent in each state, by name.
    pub(super) fn shares(&self) -> impl Iterator<Item = (&'static str, Value)> {
        STATES.iter().map(|(name, way)| (*name, self.share(*way).into()))
    }

    /// Percent of the time spent working.
    fn busy(&self) -> f64 {
        percent(self.whole() - self.0[IDLE] - self.0[IOWAIT], self.whole())
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::interval::{Counters, Interval};
    use super::stats;

    pub(in super::super) const BEFORE: &str = "cpu  1000 0 500 8000 100 0 10 5 0 0\n\
        cpu0 600 0 300 4000 50 0 5 5 0 0\ncpu1 400 0 200 4000 50 0 5 0 0 0\n\
        intr 5000 1 2 3\nctxt 9000\nbtime 1790000000\nprocesses 77\nprocs_running 1\n\
        softirq 700 1 2\n";
    pub(in super::super) const NOW: &str = "cpu  1100 20 540 8030 110 0 10 5 40 0\n\
        cpu0 700 20 300 4000 50 0 5 5 40 0\ncpu1 400 0 240 4030 60 0 5 0 0 0\n\
        intr 5600 1 2 3\nctxt 9090\nbtime 1790000000\nprocesses 77\nprocs_running 1\n\
        softirq 701 1 2\n";

    pub(in super::super) fn interval(before: &str, now: &str) -> Interval {
        let counters = |stat: &str| Counters { stat: stat.to_owned(), ..Counters::default() };
        Interval { before: counters(before), now: counters(now), seconds: 2.5 }
    }

    #[test]
    fn shares_are_of_the_interval_and_members_stand_in_glances_order() {
        assert_eq!(
            stats(&interval(BEFORE, NOW)).unwrap().to_string(),
            r#"{"total":80.0,"user":50.0,"system":20.0,"idle":15.0,"nice":10.0,"iowait":5.0,"irq":0.0,"softirq":0.0,"steal":0.0,"guest":20.0,"guest_nice":0.0,"ctx_switches":90,"interrupts":600,"soft_interrupts":1,"syscalls":0,"time_since_update":2.5,"cpucore":2}"#
        );
    }

    #[test]
    fn counters_that_stand_still_or_go_back_are_nothing() {
        let still = stats(&interval(NOW, NOW)).unwrap();
        assert_eq!((&still["total"], &still["ctx_switches"]), (&0.0.into(), &0.into()));
        let back = stats(&interval(NOW, BEFORE)).unwrap();
        assert_eq!((&back["total"], &back["interrupts"]), (&0.0.into(), &0.into()));
    }

    #[test]
    fn a_broken_file_is_told() {
        for broken in ["", "cpu  a b\n", "cpu0 1 2 3 4\n"] {
            assert!(stats(&interval(BEFORE, broken)).is_err(), "{broken}");
        }
    }
}
