//! `list`, `show` and `report`.

use serde_json::{Value, json};

use super::Error;
use super::failed;
use super::options::{Options, now};
use crate::authority::keyring::Keyring;
use crate::authority::license::{Activation, DAY, License, Status};
use crate::authority::license_store::{LicenseStore, redacted};
use crate::util::utc;

/// All licenses that can be read, and the errors of the others.
fn licenses(options: &Options) -> Result<(Vec<License>, Vec<String>), Error> {
    Keyring::load(&options.dir)?;
    let store = LicenseStore::new(&options.dir);
    let (mut licenses, mut faults) = (Vec::new(), Vec::new());
    for code in store.codes()? {
        match store.read(&code) {
            Ok(license) => licenses.extend(license),
            Err(error) => faults.push(error.to_string()),
        }
    }
    Ok((licenses, faults))
}

fn finish(text: String, faults: Vec<String>) -> Result<String, Error> {
    if faults.is_empty() { Ok(text) } else { Err(Error::Partial(text, faults)) }
}

/// The state of a license in one word or two.
fn state(license: &License, now: i64) -> &'static str {
    match license.status {
        Status::Active if now >= license.terms.end() => "expired",
        Status::Active if now >= license.terms.exp => "in grace",
        status => status.name(),
    }
}

/// The figures of a license, with the same members in every listing.
fn figures(license: &License, now: i64) -> Value {
    json!({
        "license": license.terms.code,
        "status": state(license, now),
        "product": license.terms.product,
        "expires": utc::format(license.terms.exp),
        "activations": license.terms.seats,
        "activated": license.open_activations().count(),
        "secs_allocated": license.balance.allocated,
        "secs_left": license.balance.left,
        "secs_held": license.outstanding(),
        "secs_used": license.used(),
    })
}

pub(super) fn list(options: &Options) -> Result<String, Error> {
    let ((licenses, faults), now) = (licenses(options)?, now());
    if options.json() {
        let all: Vec<Value> = licenses.iter().map(|license| figures(license, now)).collect();
        return finish(Value::Array(all).to_string(), faults);
    }
    let mut text = table_head();
    licenses.iter().for_each(|license| text.push_str(&row(license, now)));
    finish(text, faults)
}

fn table_head() -> String {
    format!(
        "{:<18}  {:<9}  {:<20}  {:>9}  {:>10}  {:>10}  {:>10}  {:>10}\n",
        "license", "status", "expires", "activated", "allocated", "left", "held", "used"
    )
}

fn row(license: &License, now: i64) -> String {
    let seats = format!("{}/{}", license.open_activations().count(), license.terms.seats);
    let seconds = |seconds: i64| match license.balance.unlimited() {
        true => "unlimited".to_owned(),
        false => seconds.to_string(),
    };
    format!(
        "{:<18}  {:<9}  {:<20}  {seats:>9}  {:>10}  {:>10}  {:>10}  {:>10}\n",
        license.terms.code,
        state(license, now),
        utc::format(license.terms.exp),
        seconds(license.balance.allocated),
        seconds(license.balance.left),
        license.outstanding(),
        license.used(),
    )
}

pub(super) fn show(options: &Options) -> Result<String, Error> {
    let code = options.code()?;
    let store = LicenseStore::new(&options.dir);
    let Some(license) = store.read(&code)? else {
        return failed(format!(
            "there is no license {} in {}",
            redacted(&code),
            options.dir.display()
        ));
    };
    let terms = &license.terms;
    let audit = match store.audit(&code) {
        Ok(entries) => format!("{entries} entries, intact"),
        Err(fault) => format!("DAMAGED: {fault}"),
    };
    let mut shown = figures(&license, now());
    let seats: Vec<Value> = license.open_activations().map(seat).collect();
    for (name, value) in [
        ("trial", Value::from(terms.kind == 2)),
        ("cache", terms.cache.into()),
        ("grace_days", (terms.grace / DAY).into()),
        ("lease_days", (terms.lease / DAY).into()),
        ("offline_mode", terms.offline.into()),
        ("offline_secs", terms.offline_secs.into()),
        ("created", utc::format(terms.created).into()),
        ("secs_charged", license.balance.charged.into()),
        ("takeovers", license.takeovers.len().into()),
        ("audit", audit.into()),
        ("appliances", seats.into()),
    ] {
        shown[name] = value;
    }
    Ok(if options.json() { shown.to_string() } else { text(&shown) })
}

fn seat(activation: &Activation) -> Value {
    json!({
        "computer_id": activation.computer_id,
        "device": activation.device.to_string(),
        "offline": activation.offline,
        "last_heard": utc::format(activation.last_contact),
        "version": activation.version,
        "epoch": activation.epoch,
        "answers": activation.seq,
        "secs_granted": activation.granted,
        "secs_consumed": activation.consumed,
        "secs_held": activation.outstanding(),
        "clock_regressions": activation.regressions,
        "usage_log_head": activation.log_head.to_string(),
        "username": activation.user.username,
        "email_address": activation.user.email_address,
        "company_name": activation.user.company_name,
    })
}

/// One line per member; members of an array are indented.
pub(super) fn text(value: &Value) -> String {
    let mut lines = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Array(items) => {
                for item in items {
                    let inner = text(item).replace('\n', "\n  ");
                    lines.push_str(&format!("{name}:\n  {}\n", inner.trim_end()));
                }
            }
            Value::String(text) => lines.push_str(&format!("{name:<17} {}\n", text.escape_debug())),
            other => lines.push_str(&format!("{name:<17} {other}\n")),
        }
    }
    lines
}

pub(super) fn report(options: &Options) -> Result<String, Error> {
    let ((licenses, faults), now) = (licenses(options)?, now());
    let limited = || licenses.iter().filter(|license| !license.balance.unlimited());
    let issuer_days = (Keyring::load(&options.dir)?.issuer_end() - now).div_euclid(DAY);
    let total = json!({
        "licenses": licenses.len(),
        "activated": licenses.iter().map(|license| license.open_activations().count()).sum::<usize>(),
        "unlimited": licenses.len() - limited().count(),
        "secs_allocated": limited().map(|license| license.balance.allocated).sum::<i64>(),
        "secs_left": limited().map(|license| license.balance.left).sum::<i64>(),
        "secs_held": licenses.iter().map(License::outstanding).sum::<i64>(),
        "secs_used": licenses.iter().map(License::used).sum::<i64>(),
        "issuer_days_left": issuer_days,
    });
    if options.json() {
        let each: Vec<Value> = licenses.iter().map(|license| figures(license, now)).collect();
        return finish(json!({"licenses": each, "total": total}).to_string(), faults);
    }
    let mut report = table_head();
    licenses.iter().for_each(|license| report.push_str(&row(license, now)));
    report.push('\n');
    report.push_str(&text(&total));
    if issuer_days < 180 {
        report.push_str("\nThe issuer key expires soon: run `license-authority rotate issuer`.\n");
    }
    finish(report, faults)
}
