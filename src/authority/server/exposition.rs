//! The page `/metrics`: OpenMetrics text 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use super::connection::Shared;
use crate::util::openmetrics::{Format, Page};

/// Everything that is counted, as text; `now` in seconds since 1970.
pub(crate) fn write(shared: &Shared, now: i64) -> String {
    let metrics = shared.service.metrics();
    let mut page = Page::new("license_authority_", Format::OpenMetrics);
    page.build_info(env!("CARGO_PKG_VERSION"));
    page.family("questions", "counter", "", "Questions of appliances by kind and outcome.");
    for ((kind, outcome), count) in metrics.questions() {
        let labels = format!("{{kind=\"{kind}\",outcome=\"{outcome}\"}}");
        page.sample("questions_total", &labels, count);
    }
    page.histograms(
        "question_duration_seconds",
        "From the last byte of a question to its answer.",
        [(String::new(), &metrics.durations)],
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
    page.finish()
}
