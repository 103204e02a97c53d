//! The page `/metrics`: OpenMetrics text 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::fmt::{self, Write as _};

use super::connection::Shared;
use crate::authority::metrics::{BOUNDS, Histogram};

pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted, as text; `now` in seconds since 1970.
pub(crate) fn write(shared: &Shared, now: i64) -> String {
    let metrics = shared.service.metrics();
    let mut page = Page(String::new());
    page.family("build", "info", "", "Version of the program.");
    page.sample("build_info", &format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1);
    page.family("questions", "counter", "", "Questions of appliances by kind and outcome.");
    for ((kind, outcome), count) in metrics.questions() {
        let labels = format!("{{kind=\"{kind}\",outcome=\"{outcome}\"}}");
        page.sample("questions_total", &labels, count);
    }
    page.histogram(
        "question_duration_seconds",
        "From the last byte of a question to its answer.",
        &metrics.durations,
    );
    let wrong = metrics.wrong_codes.get();
    page.counter("wrong_codes", "Questions with a code that no license has.", wrong);
    let (store, connections) = (&metrics.store, &metrics.connections);
    page.counter("store_steps", "Steps of the store of records.", store.steps.get());
    let conflicts = shared.service.conflicts();
    page.counter("store_conflicts", "Steps that another process made run again.", conflicts);
    page.gauge("connections", "", "Connections that are open.", shared.places.open());
    let accepted = connections.accepted.get();
    page.counter("connections_accepted", "Connections that came.", accepted);
    page.family("connections_refused", "counter", "", "Connections closed at once, by the limit.");
    for (limit, count) in
        [("address", &connections.refused_of_address), ("all", &connections.refused_of_all)]
    {
        page.sample("connections_refused_total", &format!("{{limit=\"{limit}\"}}"), count.get());
    }
    let evicted = connections.evicted.get();
    page.counter("connections_evicted", "Waiting connections closed for a newcomer.", evicted);
    page.gauge(
        "issuer_key_remaining_seconds",
        "seconds",
        "Until the newest issuer key ends.",
        shared.service.issuer_end() - now,
    );
    page.0.push_str("# EOF\n");
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE license_authority_{name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(self.0, "# UNIT license_authority_{name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP license_authority_{name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl fmt::Display) {
        let _ = writeln!(self.0, "license_authority_{name}{labels} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", "", help);
        self.sample(&format!("{name}_total"), "", value);
    }

    fn gauge(&mut self, name: &str, unit: &str, help: &str, value: impl fmt::Display) {
        self.family(name, "gauge", unit, help);
        self.sample(name, "", value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", "seconds", help);
        let sums = histogram.sums();
        let mut count = 0;
        for ((bound, _), within) in BOUNDS.iter().zip(sums.within) {
            count += within;
            self.sample(&format!("{name}_bucket"), &format!("{{le=\"{bound}\"}}"), count);
        }
        self.sample(&format!("{name}_bucket"), "{le=\"+Inf\"}", sums.count);
        self.sample(&format!("{name}_count"), "", sums.count);
        let seconds = format!("{}.{:09}", sums.total.as_secs(), sums.total.subsec_nanos());
        self.sample(&format!("{name}_sum"), "", seconds);
    }
}
