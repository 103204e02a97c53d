//! `create` and the commands that change a license.

use serde_json::{Map, Value, json};

use super::options::{Options, now, required};
use super::{Error, failed};
use crate::authority::keyring::Keyring;
use crate::authority::license::{DAY, License, Status, Terms};
use crate::authority::license_store::{LicenseStore, Update, redacted};
use crate::license::protocol::claims::UNLIMITED;
use crate::license::protocol::random::random;
use crate::util::utc;

/// Most seats of a license; its one file is rewritten at each answer to any of them.
const MAX_SEATS: i64 = 10_000;

/// Most licenses that one `create` makes.
const MAX_COUNT: i64 = 1_000_000;

/// Largest number of days for any flag.
const MAX_DAYS: i64 = 36_500;

pub(super) fn create(options: &Options) -> Result<String, Error> {
    let keys = Keyring::load(&options.dir)?;
    let seconds = match options.is("secs", "unlimited") {
        true => UNLIMITED,
        false => required("secs", options.number("secs", 1, UNLIMITED)?)?,
    };
    let exp = required("expires", options.date("expires")?)?;
    let now = now();
    if exp <= now {
        return Err(Error::Usage("--expires is in the past".to_owned()));
    }
    let seats = options.number("activations", 1, MAX_SEATS)?.unwrap_or(1);
    let offline_secs = options.number("offline-secs", 1, UNLIMITED)?;
    let offline = options.given("offline-mode");
    if offline_secs.is_some() && !offline {
        return Err(Error::Usage("--offline-secs goes with --offline-mode".to_owned()));
    }
    let mut terms = Terms {
        code: String::new(),
        product: options.digits("product", 5)?.unwrap_or("103").to_owned(),
        kind: if options.given("trial") { 2 } else { 6 },
        seats,
        cache: required("cache", options.number("cache", 1, UNLIMITED)?)?,
        exp,
        grace: options.number("grace-days", 0, MAX_DAYS)?.unwrap_or(7) * DAY,
        lease: options.number("lease-days", 1, MAX_DAYS)?.unwrap_or(30) * DAY,
        offline,
        offline_secs: offline_secs.unwrap_or((seconds / seats).max(1)),
        created: now,
    };
    let count = options.number("count", 1, MAX_COUNT)?;
    let store = LicenseStore::new(&options.dir);
    let mut codes = Vec::new();
    let mut make = || -> Result<String, Error> {
        loop {
            terms.code = new_code(keys.customer)?;
            let event = event("created", &[("secs", seconds.into()), ("exp", exp.into())]);
            if store.create(&License::new(terms.clone(), seconds), now, event)? {
                return Ok(terms.code.clone());
            }
        }
    };
    for _ in 0..count.unwrap_or(1) {
        match make() {
            Ok(code) => codes.push(code),
            // Licenses that were made are on disk, so their codes must be printed.
            Err(Error::Failed(fault)) if !codes.is_empty() => {
                return Err(Error::Partial(written(&codes, options), vec![fault]));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(written(&codes, options))
}

/// Formats new codes for printing; JSON is an array only with `--count`.
fn written(codes: &[String], options: &Options) -> String {
    let object = |code: &String| json!({"license": code});
    match codes {
        codes if !options.json() => codes.join("\n"),
        [code] if !options.given("count") => object(code).to_string(),
        codes => Value::Array(codes.iter().map(object).collect()).to_string(),
    }
}

/// Four digits of the customer and fourteen random ones (46 bits).
fn new_code(customer: i64) -> Result<String, Error> {
    const RANDOM_DIGITS: u128 = 100_000_000_000_000;
    let number = u128::from_le_bytes(random()?) % RANDOM_DIGITS;
    Ok(format!("{customer:04}{number:014}"))
}

fn event(word: &str, members: &[(&str, Value)]) -> Map<String, Value> {
    let word = [("event", Value::from(word))];
    word.iter().chain(members).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// The text to print and the entry for the audit log, or why nothing was changed.
type Change = Result<(String, Map<String, Value>), String>;

fn change(options: &Options, change: impl FnOnce(&mut License) -> Change) -> Result<String, Error> {
    let code = options.code()?;
    let done =
        LicenseStore::new(&options.dir).update(&code, now(), |license| match change(license) {
            Ok((said, event)) => Update { result: Ok(said), event: Some(event) },
            Err(why) => Update { result: Err(why), event: None },
        })?;
    match done {
        Some(Ok(said)) => Ok(said),
        Some(Err(why)) => failed(why),
        None => {
            failed(format!("there is no license {} in {}", redacted(&code), options.dir.display()))
        }
    }
}

pub(super) fn extend(options: &Options) -> Result<String, Error> {
    let (exp, seconds) = (options.date("expires")?, options.number("secs", 1, UNLIMITED - 1)?);
    if exp.is_none() && seconds.is_none() {
        return Err(Error::Usage("extend takes --expires, --secs or both".to_owned()));
    }
    change(options, |license| {
        if let Some(seconds) = seconds
            && !license.balance.extend(seconds)
        {
            let why = format!("a license has fewer than {UNLIMITED} seconds, or is unlimited");
            return Err(why);
        }
        license.terms.exp = exp.unwrap_or(license.terms.exp);
        let (allocated, exp) = (license.balance.allocated, license.terms.exp);
        let event = event("extended", &[("secs", seconds.into()), ("exp", exp.into())]);
        Ok((format!("{allocated} seconds until {}", utc::format(exp)), event))
    })
}

pub(super) fn suspend(options: &Options) -> Result<String, Error> {
    change(options, |license| become_status(license, Status::Suspended))
}

pub(super) fn resume(options: &Options) -> Result<String, Error> {
    change(options, |license| become_status(license, Status::Active))
}

pub(super) fn revoke(options: &Options) -> Result<String, Error> {
    change(options, |license| become_status(license, Status::Revoked))
}

fn become_status(license: &mut License, status: Status) -> Change {
    if license.status == Status::Revoked {
        return Err("the license is revoked for good: create another one".to_owned());
    }
    if license.status == status {
        return Err(format!("the license is {} already", status.name()));
    }
    license.status = status;
    Ok((format!("the license is {}", status.name()), event(status.name(), &[])))
}

pub(super) fn release(options: &Options) -> Result<String, Error> {
    let computer = options.computer()?;
    change(options, |license| {
        let wanted = |id: &String| computer.as_ref().is_none_or(|computer| computer == id);
        let seats: Vec<usize> = (0..license.activations.len())
            .filter(|at| license.activations[*at].open)
            .filter(|at| wanted(&license.activations[*at].computer_id))
            .collect();
        match seats[..] {
            [at] => {
                let held = license.activations[at].outstanding();
                let id = license.activations[at].computer_id.clone();
                license.close(at, 0);
                let event =
                    event("released", &[("computer_id", id.into()), ("charged", held.into())]);
                Ok((format!("released; the {held} seconds that it held were charged"), event))
            }
            [] => Err("no appliance holds such a seat".to_owned()),
            _ => Err(
                "several appliances hold seats: name one with --computer ID, as `show` writes it"
                    .into(),
            ),
        }
    })
}

pub(super) fn credit(options: &Options) -> Result<String, Error> {
    let seconds = required("secs", options.number("secs", 1, UNLIMITED)?)?;
    change(options, |license| {
        if !license.balance.credit(seconds) {
            return Err(format!(
                "only {} seconds were charged, so no more can be credited",
                license.balance.charged
            ));
        }
        let event = event("credited", &[("secs", seconds.into())]);
        Ok((format!("{seconds} seconds were credited"), event))
    })
}
