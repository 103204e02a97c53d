//! The page `/metrics`: OpenMetrics text 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use super::connection::Shared;
use crate::util::openmetrics::{Format, Page};

/// Everything that is counted, as text; `now` in seconds since 1970.
pub(crate) fn write(shared: &Shared, now: i64) -> String {
    let metrics = &shared.service.metrics;
    let mut page = Page::new("license_authority_", Format::OpenMetrics);
    page.build_info(env!("CARGO_PKG_VERSION"));
    let questions = metrics
        .questions()
        .into_iter()
        .map(|((kind, outcome), count)| (format!("kind=\"{kind}\",outcome=\"{outcome}\""), count));
    page.counters("questions", "", "Questions of appliances by kind and outcome.", questions);
    page.histograms(
        "question_duration_seconds",
        "From the last byte of a question to its answer.",
        [(String::new(), &metrics.durations)],
    );
    let wrong = metrics.wrong_codes.get();
    page.counter("wrong_codes", "Questions with a code that no license has.", wrong);
    page.counter("store_steps", "Steps of the store of records.", metrics.steps.get());
    let conflicts = shared.service.conflicts();
    page.counter("store_conflicts", "Steps that another process made run again.", conflicts);
    page.gauge("connections", "", "Connections that are open.", shared.places.open());
    page.counter("connections_accepted", "Connections that came.", metrics.accepted.get());
    let refused = [("address", &metrics.refused_of_address), ("all", &metrics.refused_of_all)];
    let refused = refused.map(|(limit, count)| (format!("limit=\"{limit}\""), count.get()));
    page.counters("connections_refused", "", "Connections closed at once, by the limit.", refused);
    let evicted = metrics.evicted.get();
    page.counter("connections_evicted", "Waiting connections closed for a newcomer.", evicted);
    page.gauge(
        "issuer_key_remaining_seconds",
        "seconds",
        "Until the newest issuer key ends.",
        shared.service.issuer_end() - now,
    );
    page.finish()
}
