//! Counters that cost a request next to nothing, and the text that monitoring systems read: OpenMetrics 1.0
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>) and its predecessor, the text format 0.0.4 of
//! Prometheus (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

mod counters;
mod page;

pub(crate) use counters::{Counter, Gauge, Histogram};
pub(crate) use page::{Format, Page};
