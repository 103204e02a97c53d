//! `/monitor/metrics`, `/metrics` on a monitoring port: everything that can be counted or measured, for monitoring
//! systems. Names are explained in `applianced(8)`.

use super::readiness::Finding;
use super::request::Request;
use super::response::{Answer, Response};
use crate::license::Standing;
use crate::management::Context;
use crate::util::openmetrics::{Format, Page};

/// The path in [`super::table`].
pub(crate) const PATH: &str = "/monitor/metrics";

/// OpenMetrics, unless the client names the older format alone.
pub(crate) fn show(context: &Context, request: &mut Request) -> Answer {
    let wants_text = request.accepts("text/plain");
    let format = match wants_text && !request.accepts("application/openmetrics-text") {
        true => Format::Text,
        false => Format::OpenMetrics,
    };
    let mut page = Page::new("applianced_", format);
    page.build_info(env!("CARGO_PKG_VERSION"));
    context.metrics.write(&mut page);
    services(&mut page, context, &context.readiness.look(&context.config));
    let end = context.security.identity().snapshot().summary.not_after;
    moment(&mut page, "certificate_end", "When the certificate in use ends.", Some(end));
    license(&mut page, &context.license.standing());
    Ok(Response::text(200, format.content_type(), page.finish()))
}

fn services(page: &mut Page, context: &Context, finding: &Finding) {
    page.family("service_up", "gauge", "", "Whether a service takes connections.");
    for (index, service) in context.config.services.iter().enumerate() {
        let labels = format!("{{service=\"{}\"}}", service.name);
        page.sample("service_up", &labels, u8::from(finding.is_running(index)));
    }
}

fn license(page: &mut Page, standing: &Standing) {
    let help = "Whether there is a license that is valid.";
    page.gauge("license_valid", "", help, u8::from(standing.licensed));
    let help = "The number at the beginning of the license's status.";
    page.gauge("license_status", "", help, standing.status);
    let help = "Whether the license authority has answered within a minute.";
    page.gauge("license_connected", "", help, u8::from(standing.connected));
    let help = "Seconds of speech that are left.";
    page.gauge("license_remaining_seconds", "seconds", help, standing.allowed);
    let help = "When the license ends unless the authority renews it.";
    moment(page, "license_lease_end", help, standing.lease_end);
    moment(page, "license_end", "When the license ends.", standing.end);
}

/// A time in seconds since 1970; no sample if there is none.
fn moment(page: &mut Page, name: &str, help: &str, at: Option<i64>) {
    let name = format!("{name}_timestamp_seconds");
    page.family(&name, "gauge", "seconds", help);
    if let Some(at) = at {
        page.sample(&name, "", at);
    }
}
