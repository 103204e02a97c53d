//! `list`, `show`, `report` and `verify`: they print as they read, so that a million licenses need no
//! more memory than one.

use std::io::{self, BufWriter, Stdout, Write};
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Value, json};

use super::options::{Options, now};
use super::{Error, complain, failed};
use crate::authority::archive;
use crate::authority::database::redacted;
use crate::authority::keyring::{self, Keyring};
use crate::authority::license::{DAY, License, Status};
use crate::authority::seat::Seat;
use crate::util::utc;

/// Prints licenses one by one, and complains of those that can't be read.
pub(super) struct Printer {
    out: BufWriter<Stdout>,
    printed: u64,
    faults: u64,
}

impl Printer {
    pub(super) fn new() -> Printer {
        Printer { out: BufWriter::new(io::stdout()), printed: 0, faults: 0 }
    }

    /// Prints what `each` makes of every license that `wanted` chooses.
    pub(super) fn print(
        &mut self,
        options: &Options,
        wanted: impl Fn(&License) -> bool,
        mut each: impl FnMut(&License, u64) -> Result<String, Error>,
    ) -> Result<(), Error> {
        let mut stopped = Ok(());
        options.licenses()?.each(&mut |license| {
            let written = match license {
                Err(error) => {
                    self.faults += 1;
                    complain(error);
                    return Ok(ControlFlow::Continue(()));
                }
                Ok(license) if !wanted(&license) => return Ok(ControlFlow::Continue(())),
                Ok(license) => each(&license, self.printed),
            };
            self.printed += 1;
            stopped = written.and_then(|text| Ok(self.out.write_all(text.as_bytes())?));
            Ok(if stopped.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        stopped
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    pub(super) fn finish(mut self) -> Result<String, Error> {
        self.out.flush()?;
        match self.faults {
            0 => Ok(String::new()),
            faults => failed(format!("{faults} licenses can't be read and are left out")),
        }
    }
}

/// Which licenses `list` shows.
fn filter(options: &Options, now: i64) -> Result<impl Fn(&License) -> bool, Error> {
    let text = options.words("search")?.map(|text| text.to_lowercase());
    let wanted = options.state()?;
    let (ends, seen) = (options.date("ends-before")?, options.date("seen-before")?);
    Ok(move |license: &License| {
        let buyer = &license.buyer;
        let about = [&license.terms.code, &buyer.customer_name, &buyer.order, &buyer.note];
        let found = |text: &String| about.iter().any(|about| about.to_lowercase().contains(text));
        text.as_ref().is_none_or(found)
            && wanted.is_none_or(|wanted| state(license, now) == wanted)
            && ends.is_none_or(|date| license.terms.exp < date)
            && seen.is_none_or(|date| license.last_contact < date)
    })
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
        "activated": license.sums.open,
        "secs_allocated": license.balance.allocated,
        "secs_left": license.balance.left,
        "secs_held": license.outstanding(),
        "secs_used": license.used(),
    })
}

pub(super) fn list(options: &Options) -> Result<String, Error> {
    Keyring::load(&*options.database()?, &options.dir)?;
    let now = now();
    let (wanted, mut out) = (filter(options, now)?, Printer::new());
    if options.json() {
        out.text("[")?;
        out.print(options, wanted, |license, before| {
            let comma = if before > 0 { "," } else { "" };
            Ok(format!("{comma}{}", listed(options, license, now)?))
        })?;
        out.text("]\n")?;
    } else {
        out.text(&table_head())?;
        out.print(options, wanted, |license, _| Ok(row(license, now)))?;
    }
    out.finish()
}

/// The members of a license in `list --json`.
fn listed(options: &Options, license: &License, now: i64) -> Result<Value, Error> {
    let mut shown = figures(license, now);
    let mut appliances = Vec::new();
    if license.sums.open > 0 {
        options.licenses()?.each_seat(&license.terms.code, &mut |seat| {
            if seat.open {
                appliances.push(json!({
                    "computer_id": seat.computer_id,
                    "version": seat.version,
                    "last_heard": utc::format(seat.last_contact),
                }));
            }
        })?;
    }
    let heard = Some(license.last_contact).filter(|time| *time > 0).map(utc::format);
    for (name, value) in [
        ("created", utc::format(license.terms.created).into()),
        ("last_heard", heard.into()),
        ("customer_name", license.buyer.customer_name.as_str().into()),
        ("order", license.buyer.order.as_str().into()),
        ("note", license.buyer.note.as_str().into()),
        ("appliances", appliances.into()),
    ] {
        shown[name] = value;
    }
    Ok(shown)
}

fn table_head() -> String {
    format!(
        "{:<18}  {:<9}  {:<20}  {:>9}  {:>10}  {:>10}  {:>10}  {:>10}\n",
        "license", "status", "expires", "activated", "allocated", "left", "held", "used"
    )
}

fn row(license: &License, now: i64) -> String {
    let seats = format!("{}/{}", license.sums.open, license.terms.seats);
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
    let licenses = options.licenses()?;
    let Some(license) = licenses.read(&code)? else {
        return failed(format!("there is no license {} in {}", redacted(&code), options.place()));
    };
    let terms = &license.terms;
    let audit = match licenses.audit(&license) {
        Ok(entries) => match license.archived.lines {
            0 => format!("{entries} entries, intact"),
            archived => format!("{entries} entries, {archived} of them archived, intact"),
        },
        Err(fault) => format!("DAMAGED: {fault}"),
    };
    let mut seats: Vec<Value> = Vec::new();
    licenses.each_seat(&code, &mut |open| {
        if open.open {
            seats.push(seat(&open));
        }
    })?;
    let mut shown = figures(&license, now());
    for (name, value) in [
        ("trial", Value::from(terms.kind == 2)),
        ("cache", terms.cache.into()),
        ("grace_days", (terms.grace / DAY).into()),
        ("lease_days", (terms.lease / DAY).into()),
        ("offline_mode", terms.offline.into()),
        ("offline_secs", terms.offline_secs.into()),
        ("created", utc::format(terms.created).into()),
        ("secs_charged", license.balance.charged.into()),
        ("takeovers", license.sums.takeovers.into()),
        ("customer_name", license.buyer.customer_name.as_str().into()),
        ("order", license.buyer.order.as_str().into()),
        ("note", license.buyer.note.as_str().into()),
        ("audit", audit.into()),
        ("appliances", seats.into()),
    ] {
        shown[name] = value;
    }
    Ok(if options.json() { shown.to_string() } else { text(&shown) })
}

fn seat(seat: &Seat) -> Value {
    json!({
        "computer_id": seat.computer_id,
        "device": seat.device.to_string(),
        "offline": seat.offline,
        "last_heard": utc::format(seat.last_contact),
        "version": seat.version,
        "epoch": seat.epoch,
        "answers": seat.seq,
        "secs_granted": seat.granted,
        "secs_consumed": seat.consumed,
        "secs_held": seat.outstanding(),
        "clock_regressions": seat.regressions,
        "usage_log_head": seat.log_head.to_string(),
        "username": seat.user.username,
        "email_address": seat.user.email_address,
        "company_name": seat.user.company_name,
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
    let issuer_days =
        (Keyring::load(&*options.database()?, &options.dir)?.issuer_end() - now()).div_euclid(DAY);
    let mut total = json!(options.licenses()?.totals()?);
    if let Some(members) = total.as_object_mut() {
        members.remove("changes");
        members.insert("issuer_days_left".to_owned(), issuer_days.into());
    }
    if options.json() {
        return Ok(json!({"total": total}).to_string());
    }
    let mut report = text(&total);
    if issuer_days < 180 {
        report.push_str("\nThe issuer key expires soon: run `license-authority rotate issuer`.\n");
    }
    Ok(report)
}

pub(super) fn verify(options: &Options) -> Result<String, Error> {
    let lines = keyring::verify(&*options.database()?, &options.dir)?;
    let mut faults = 0;
    let verified =
        options.licenses()?.verify_all(&mut super::copies::progress(), &mut |fault| {
            faults += 1;
            complain(fault);
        })?;
    let whole = format!(
        "{} licenses with {} entries and {lines} of the keys",
        verified.licenses, verified.entries
    );
    let archived = match options.value("archive") {
        Some(file) => {
            let found = archive::verify(&options.licenses()?, Path::new(file))?;
            format!(
                "; {} lines of {} audit logs in {file}, which go on in {}",
                found.lines,
                found.licenses,
                options.place()
            )
        }
        None => String::new(),
    };
    match faults {
        0 => Ok(format!("{whole}{archived}: all are whole")),
        _ => failed(format!(
            "{whole} are whole, but for what is named above: restore that from a backup"
        )),
    }
}
