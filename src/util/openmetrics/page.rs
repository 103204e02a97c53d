//! The text of `/metrics`.

use std::fmt::{self, Write as _};

use super::counters::{BOUNDS, Histogram};

/// A format of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, which older programs read.
    Text,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A page that is being written: families of metrics, one after the other.
///
/// Names are given without the prefix of the program, and those of counters without `_total`. Labels are
/// written as `{name="value"}`, or nothing; the caller's values have no quotes, backslashes or line ends.
pub(crate) struct Page {
    prefix: &'static str,
    format: Format,
    text: String,
}

impl Page {
    /// A page whose names all begin with `prefix`.
    pub(crate) fn new(prefix: &'static str, format: Format) -> Page {
        Page { prefix, format, text: String::new() }
    }

    /// Begins a family; `kind` is a type of OpenMetrics, `unit` the end of its name, or nothing.
    pub(crate) fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let (prefix, text) = (self.prefix, &mut self.text);
        // The older format has the name of the sample here, knows no unit, and has neither of these types.
        let (name, kind) = match (self.format, kind) {
            (Format::Text, "counter") => (format!("{name}_total"), kind),
            (Format::Text, "info") => (format!("{name}_info"), "gauge"),
            _ => (name.to_owned(), kind),
        };
        let _ = writeln!(text, "# TYPE {prefix}{name} {kind}");
        if !unit.is_empty() && self.format == Format::OpenMetrics {
            let _ = writeln!(text, "# UNIT {prefix}{name} {unit}");
        }
        let _ = writeln!(text, "# HELP {prefix}{name} {help}");
    }

    /// A sample of the family that was begun last, with the ending of its type in its name.
    pub(crate) fn sample(&mut self, name: &str, labels: &str, value: impl fmt::Display) {
        let _ = writeln!(self.text, "{}{name}{labels} {value}", self.prefix);
    }

    /// What the program is: a family of one sample, which is always 1.
    pub(crate) fn build_info(&mut self, version: &str) {
        self.family("build", "info", "", "Version of the program.");
        self.sample("build_info", &format!("{{version=\"{version}\"}}"), 1);
    }

    /// A counter without labels.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", "", help);
        self.sample(&format!("{name}_total"), "", value);
    }

    /// Counters of one family, each with the inside of its labels, such as `area="speech"`.
    pub(crate) fn counters(
        &mut self,
        name: &str,
        unit: &str,
        help: &str,
        all: impl IntoIterator<Item = (String, u64)>,
    ) {
        self.family(name, "counter", unit, help);
        for (labels, count) in all {
            self.sample(&format!("{name}_total"), &format!("{{{labels}}}"), count);
        }
    }

    /// A gauge without labels.
    pub(crate) fn gauge(&mut self, name: &str, unit: &str, help: &str, value: impl fmt::Display) {
        self.family(name, "gauge", unit, help);
        self.sample(name, "", value);
    }

    /// Histograms of seconds, each with the inside of its labels, such as `area="speech"`, or nothing.
    pub(crate) fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (String, &'a Histogram)>,
    ) {
        self.family(name, "histogram", "seconds", help);
        for (labels, histogram) in all {
            self.histogram(name, &labels, histogram);
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let (separator, whole) = match labels {
            "" => ("", String::new()),
            labels => (",", format!("{{{labels}}}")),
        };
        let counts = histogram.cumulative();
        let bounds = BOUNDS.iter().map(|(bound, _)| *bound).chain(["+Inf"]);
        let bucket = format!("{name}_bucket");
        for (bound, count) in bounds.zip(counts) {
            self.sample(&bucket, &format!("{{{labels}{separator}le=\"{bound}\"}}"), count);
        }
        let count = counts.last().copied().unwrap_or_default();
        self.sample(&format!("{name}_count"), &whole, count);
        let total = histogram.total();
        let seconds = format!("{}.{:09}", total.as_secs(), total.subsec_nanos());
        self.sample(&format!("{name}_sum"), &whole, seconds);
    }

    /// The whole page.
    pub(crate) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Format, Page};
    use crate::util::openmetrics::Histogram;

    fn page(format: Format) -> String {
        let mut page = Page::new("x_", format);
        page.build_info("1.2");
        page.counter("seen", "What was seen.", 3);
        page.gauge("left_seconds", "seconds", "What is left.", -1);
        let durations = Histogram::default();
        durations.observe(Duration::from_millis(30));
        let labels = [("area=\"a\"".to_owned(), &durations), (String::new(), &durations)];
        page.histograms("took_seconds", "How long.", labels);
        page.finish()
    }

    #[test]
    fn both_formats_have_the_same_samples() {
        let samples = |text: String| {
            let samples = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
            samples.collect::<Vec<_>>()
        };
        let (new, old) = (page(Format::OpenMetrics), page(Format::Text));
        assert!(new.starts_with("# TYPE x_build info\n") && new.ends_with("\n# EOF\n"), "{new}");
        assert!(new.contains("\n# TYPE x_seen counter\n# HELP x_seen What was seen.\n"), "{new}");
        assert!(new.contains("\n# UNIT x_left_seconds seconds\n"), "{new}");
        assert!(old.starts_with("# TYPE x_build_info gauge\n"), "{old}");
        assert!(old.contains("\n# TYPE x_seen_total counter\n"), "{old}");
        assert!(!old.contains("# UNIT") && !old.contains("# EOF"), "{old}");
        assert_eq!(samples(new.clone()), samples(old));
        for line in [
            "x_build_info{version=\"1.2\"} 1",
            "x_seen_total 3",
            "x_left_seconds -1",
            "x_took_seconds_bucket{area=\"a\",le=\"0.025\"} 0",
            "x_took_seconds_bucket{area=\"a\",le=\"0.05\"} 1",
            "x_took_seconds_bucket{area=\"a\",le=\"+Inf\"} 1",
            "x_took_seconds_count{area=\"a\"} 1",
            "x_took_seconds_sum{area=\"a\"} 0.030000000",
            "x_took_seconds_bucket{le=\"+Inf\"} 1",
            "x_took_seconds_count 1",
        ] {
            assert!(new.lines().any(|found| found == line), "{line} is not in\n{new}");
        }
    }
}
