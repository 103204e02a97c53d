//! Names and frequencies of the processors, from `/proc/cpuinfo` and `/sys`.

use std::fs;

use super::read;

/// `/proc/cpuinfo`, empty if it can't be read.
pub(crate) fn cpuinfo() -> String {
    read("/proc/cpuinfo").unwrap_or_default()
}

/// Every value of `/proc/cpuinfo` under this name.
pub(crate) fn values<'a>(cpuinfo: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    cpuinfo.lines().filter_map(move |line| {
        let (key, value) = line.split_once(':')?;
        (key.trim_end() == name).then(|| value.trim())
    })
}

/// Current and highest frequency in Hz, the mean of all processors. Virtual machines often report only
/// the first; the second is 0 then. Machines that report neither have none.
pub(super) fn frequencies(cpuinfo: &str) -> (Option<f64>, Option<f64>) {
    let reported = mean(values(cpuinfo, "cpu MHz").filter_map(|mhz| mhz.parse().ok()));
    let reported = reported.map(|mhz| mhz * 1e6);
    let policies = fs::read_dir("/sys/devices/system/cpu/cpufreq").into_iter().flatten().flatten();
    let (mut current, mut highest) = (Vec::new(), Vec::new());
    for policy in policies.map(|entry| entry.path()) {
        let khz = |file: &str| -> Option<f64> {
            fs::read_to_string(policy.join(file)).ok()?.trim().parse().ok()
        };
        current.extend(khz("scaling_cur_freq"));
        highest.extend(khz("scaling_max_freq"));
    }
    let hertz = |khz: Vec<f64>| mean(khz.into_iter()).map(|khz| khz * 1e3);
    let current = reported.or(hertz(current));
    (current, current.and(hertz(highest).or(Some(0.0))))
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = numbers.fold((0.0, 0.0), |(count, sum), number| (count + 1.0, sum + number));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::{frequencies, values};

    const CPUINFO: &str = "processor\t: 0\nmodel name\t: A B @ 2.0GHz\ncpu MHz\t\t: 2000.500\n\n\
        processor\t: 1\nmodel name\t: A B @ 2.0GHz\ncpu MHz\t\t: 1000.500\nflags\t\t: fpu sse\n";

    #[test]
    fn the_processor_is_named_and_its_frequency_is_the_mean() {
        assert_eq!(values(CPUINFO, "model name").next(), Some("A B @ 2.0GHz"));
        assert_eq!(values(CPUINFO, "model").next(), None);
        assert_eq!(frequencies(CPUINFO).0, Some(1_500_500_000.0));
    }
}
