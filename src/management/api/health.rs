//! `health`: whether all is well, overall and for each part.
//!
//! The parts have the names of MA-11: `batch_inference` and `realtime_inference` are
//! the two speech engines. Other services have their own names. A part that no listener serves is
//! `disabled`.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::request::Request;
use super::response::{Answer, Response};
use crate::config::{Config, Serves, Service};
use crate::diagnosis::services;
use crate::management::Context;
use crate::security::{is_urgent, urgent_expiry};
use crate::util::utc;

/// Free bytes that the state folder needs; a change writes a few kilobytes.
const MIN_FREE: u64 = 1 << 20;

/// Always 200.
pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    let config = &context.config;
    let mut parts = Map::new();
    let memory = context.monitor.stats("mem");
    parts.insert("monitoring".to_owned(), part(memory.err()));
    parts.insert("storage".to_owned(), part(storage(config)));
    parts.insert("certificate".to_owned(), certificate(context));
    parts.insert("license".to_owned(), license(context));
    let services: Vec<&Service> = config.services.iter().collect();
    let running = services::accepting(&services);
    for (index, service) in services.iter().enumerate() {
        let name = match service.name.as_str() {
            "speech" => "batch_inference",
            "realtime" => "realtime_inference",
            own => own,
        };
        let state = if !is_served(config, service) {
            json!({"status": "disabled"})
        } else if running.contains(&index) {
            part(None)
        } else {
            part(Some(format!("nothing takes connections at {}", service.address)))
        };
        parts.insert(name.to_owned(), state);
    }
    Ok(Response::json(&overall(parts)))
}

fn part(error: Option<String>) -> Value {
    match error {
        None => json!({"status": "healthy"}),
        Some(error) => json!({"status": "unhealthy", "errors": [error]}),
    }
}

fn overall(parts: Map<String, Value>) -> Value {
    let ill = parts.values().any(|part| part["status"] == "unhealthy");
    let mut all = Map::new();
    all.insert("status".to_owned(), if ill { "unhealthy" } else { "healthy" }.into());
    all.extend(parts);
    all.into()
}

/// Why the state folder can't be written, if it can't.
pub(super) fn storage(config: &Config) -> Option<String> {
    let shown = config.state_dir.display();
    match statvfs(&config.state_dir) {
        Err(error) => Some(format!("{shown}: {error}")),
        Ok(room) if room.f_flag.contains(StatVfsMountFlags::RDONLY) => {
            Some(format!("{shown} is mounted read-only"))
        }
        Ok(room) if room.f_bavail.saturating_mul(room.f_frsize) < MIN_FREE => {
            Some(format!("less than 1 MiB is free in {shown}"))
        }
        Ok(_) => None,
    }
}

/// Ill if clients refuse the certificate, or will within a week; one that an authority renews may be younger than
/// that, and is ill if its renewal fails and little time is left. Any other failure of that is a warning.
fn certificate(context: &Context) -> Value {
    let now = utc::unix_seconds(SystemTime::now());
    let summary = &context.security.identity().snapshot().summary;
    let Some(acme) = context.security.acme() else {
        return part(urgent_expiry(summary, now));
    };
    let trouble = acme.trouble();
    let error = if !acme.has_issued(summary) {
        urgent_expiry(summary, now)
    } else if is_urgent(&acme, summary, now) {
        trouble.clone()
    } else {
        summary.date_error(now).map(|error| format!("the certificate {error}"))
    };
    let healthy = error.is_none();
    let mut part = part(error);
    if let (true, Some(trouble)) = (healthy, trouble) {
        part["warnings"] = json!([trouble]);
    }
    part
}

/// `disabled` if no service that a listener serves needs a license.
fn license(context: &Context) -> Value {
    let config = &context.config;
    let asks = |service: &Service| needs_license(service) && is_served(config, service);
    if !config.services.iter().any(asks) {
        return json!({"status": "disabled"});
    }
    let errors = context.license.errors();
    match errors.is_empty() {
        true => json!({"status": "healthy"}),
        false => json!({"status": "unhealthy", "errors": errors}),
    }
}

/// Whether some of its requests are refused while the license is not valid.
pub(super) fn needs_license(service: &Service) -> bool {
    service.is_built_in() || !service.licensed.is_empty()
}

/// Whether a listener serves it.
pub(super) fn is_served(config: &Config, service: &Service) -> bool {
    let own_port = match service.name.as_str() {
        "speech" => Some(Serves::Speech),
        "realtime" => Some(Serves::Realtime),
        _ => None,
    };
    config.listen.iter().any(|listen| {
        listen.serves == Serves::All || own_port.is_some_and(|serves| listen.serves == serves)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::{overall, part};

    #[test]
    fn one_ill_part_makes_all_ill_and_a_disabled_one_does_not() {
        let parts = |ill: bool| {
            Map::from_iter([
                ("storage".to_owned(), part(ill.then(|| "full".to_owned()))),
                ("realtime_inference".to_owned(), json!({"status": "disabled"})),
            ])
        };
        assert_eq!(overall(parts(false))["status"], "healthy");
        assert_eq!(
            overall(parts(true)).to_string(),
            r#"{"status":"unhealthy","storage":{"status":"unhealthy","errors":["full"]},"realtime_inference":{"status":"disabled"}}"#
        );
    }
}
