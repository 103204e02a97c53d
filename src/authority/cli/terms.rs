//! `create` and the commands that change a license.

use serde_json::{Map, Value, json};

use super::options::{MAX_DAYS, Options, now, require, required};
use super::{Error, failed};
use crate::authority::accounts::Accounts;
use crate::authority::database::{Transaction, redacted};
use crate::authority::keyring::Keyring;
use crate::authority::license::{Buyer, DAY, License, Status, Terms};
use crate::authority::licenses::Update;
use crate::authority::records;
use crate::license::protocol::claims::UNLIMITED;
use crate::license::protocol::hex::Digest;
use crate::license::protocol::random::random;
use crate::util::utc;

/// Most seats of a license, which is also how many activations it may have ever.
pub(super) const MAX_SEATS: i64 = 100_000;

/// Most licenses that one `create` makes.
const MAX_COUNT: i64 = 1_000_000;

pub(super) fn create(options: &Options) -> Result<String, Error> {
    let keys = Keyring::load(&*options.database()?, &options.dir)?;
    require(options, &["secs", "cache", "expires"])?;
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
    let chosen = chosen_code(options, keys.customer)?;
    if chosen.is_some() && count.is_some() {
        return Err(Error::Usage("--code is for one license, and --count for several".to_owned()));
    }
    let licenses = options.licenses()?;
    let event = options.event("created", &[("secs", seconds.into()), ("exp", exp.into())]);
    let buyer = buyer(options)?;
    let mut codes = Vec::new();
    let mut make = || -> Result<String, Error> {
        loop {
            terms.code = chosen.clone().map_or_else(|| new_code(keys.customer), Ok)?;
            let license = License { buyer: buyer.clone(), ..License::new(terms.clone(), seconds) };
            if licenses.create(&license, now, &event)? {
                return Ok(terms.code.clone());
            }
            if chosen.is_some() {
                return failed("there is a license with this code already; nothing was changed");
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

/// The code that was asked for, as after the loss of the records.
fn chosen_code(options: &Options, customer: i64) -> Result<Option<String>, Error> {
    let code = options.chosen_code()?;
    if code.as_ref().is_some_and(|code| !code.starts_with(&format!("{customer:04}"))) {
        return failed(format!("the codes of this authority begin with {customer:04}"));
    }
    Ok(code)
}

/// Who bought a license.
fn buyer(options: &Options) -> Result<Buyer, Error> {
    Ok(Buyer {
        customer_name: options.words("customer-name")?.unwrap_or_default(),
        order: options.words("order")?.unwrap_or_default(),
        note: options.words("note")?.unwrap_or_default(),
    })
}

/// Four digits of the customer and fourteen random ones (46 bits).
fn new_code(customer: i64) -> Result<String, Error> {
    const RANDOM_DIGITS: u128 = 100_000_000_000_000;
    let number = u128::from_le_bytes(random()?) % RANDOM_DIGITS;
    Ok(format!("{customer:04}{number:014}"))
}

/// The text to print and the entry for the audit log, or why nothing was changed.
type Change = Result<(String, Map<String, Value>), String>;

/// Changes a license, and the seat of `computer` if one is named.
fn change_with(
    options: &Options,
    computer: Option<&str>,
    mut change: impl FnMut(&mut Accounts) -> Change,
) -> Result<String, Error> {
    let code = options.code()?;
    let load = |step: &mut dyn Transaction| {
        let Some(license) = records::license(step, &code)? else { return Ok(None) };
        let mut accounts = Accounts::new(license);
        computer.map_or(Ok(()), |computer| accounts.load_computer(step, computer))?;
        Ok(Some(accounts))
    };
    let done =
        options.licenses()?.update(&code, now(), &load, |accounts| match change(accounts) {
            Ok((said, event)) => Update { result: Ok(said), events: vec![event] },
            Err(why) => Update { result: Err(why), events: Vec::new() },
        })?;
    match done {
        Some(Ok(said)) => Ok(said),
        Some(Err(why)) => failed(why),
        None => failed(format!("there is no license {} in {}", redacted(&code), options.place())),
    }
}

/// Changes a license alone.
fn change(
    options: &Options,
    mut change: impl FnMut(&mut License) -> Change,
) -> Result<String, Error> {
    change_with(options, None, |accounts| change(&mut accounts.license))
}

/// What `extend` changes.
struct Extension {
    exp: Option<i64>,
    seconds: Option<i64>,
    seats: Option<i64>,
    cache: Option<i64>,
    lease: Option<i64>,
    grace: Option<i64>,
    offline: Option<bool>,
    offline_secs: Option<i64>,
    product: Option<String>,
    buyer: [Option<String>; 3],
}

impl Extension {
    fn of(options: &Options) -> Result<Extension, Error> {
        let days =
            |flag, least| Ok::<_, Error>(options.number(flag, least, MAX_DAYS)?.map(|n| n * DAY));
        Ok(Extension {
            exp: options.date("expires")?,
            seconds: options.number("secs", 1, UNLIMITED - 1)?,
            seats: options.number("activations", 1, MAX_SEATS)?,
            cache: options.number("cache", 1, UNLIMITED)?,
            lease: days("lease-days", 1)?,
            grace: days("grace-days", 0)?,
            offline: options.yes_or_no("offline-mode")?,
            offline_secs: options.number("offline-secs", 1, UNLIMITED)?,
            product: options.digits("product", 5)?.map(str::to_owned),
            buyer: [
                options.words("customer-name")?,
                options.words("order")?,
                options.words("note")?,
            ],
        })
    }

    /// The members of the audit log's entry, which are those that change.
    fn members(&self) -> Vec<(&'static str, Value)> {
        let numbers = [
            ("secs", self.seconds),
            ("exp", self.exp),
            ("activations", self.seats),
            ("cache", self.cache),
            ("lease", self.lease),
            ("grace", self.grace),
            ("offline_secs", self.offline_secs),
        ];
        let mut members: Vec<(&'static str, Value)> = numbers
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value.into())))
            .collect();
        members.extend(self.offline.map(|offline| ("offline_mode", offline.into())));
        members.extend(self.product.as_ref().map(|product| ("product", product.as_str().into())));
        let names = ["customer_name", "order", "note"];
        let buyer = names.into_iter().zip(&self.buyer);
        members.extend(buyer.filter_map(|(name, text)| Some((name, text.as_deref()?.into()))));
        members
    }

    fn apply(&self, license: &mut License) -> Result<(), String> {
        if let Some(seconds) = self.seconds
            && !license.balance.extend(seconds)
        {
            return Err(format!("a license has fewer than {UNLIMITED} seconds, or is unlimited"));
        }
        let terms = &mut license.terms;
        for (term, value) in [
            (&mut terms.exp, self.exp),
            (&mut terms.seats, self.seats),
            (&mut terms.cache, self.cache),
            (&mut terms.lease, self.lease),
            (&mut terms.grace, self.grace),
            (&mut terms.offline_secs, self.offline_secs),
        ] {
            *term = value.unwrap_or(*term);
        }
        if self.exp.or(self.lease).or(self.grace).is_some() {
            // Leases may end at other times by these terms.
            license.first_end = 0;
        }
        terms.offline = self.offline.unwrap_or(terms.offline);
        terms.product.clone_from(self.product.as_ref().unwrap_or(&terms.product.clone()));
        let Buyer { customer_name, order, note } = &mut license.buyer;
        for (old, new) in [customer_name, order, note].into_iter().zip(&self.buyer) {
            new.iter().for_each(|new| old.clone_from(new));
        }
        Ok(())
    }
}

pub(super) fn extend(options: &Options) -> Result<String, Error> {
    let extension = Extension::of(options)?;
    let members = extension.members();
    if members.is_empty() {
        let what =
            "extend takes what to change: --expires, --secs, --activations and others, see --help";
        return Err(Error::Usage(what.to_owned()));
    }
    if extension.exp.is_some_and(|exp| exp <= now()) && !options.given("yes") {
        let what = "--expires is in the past, which ends the license for all its appliances: add --yes if you \
                    mean it";
        return Err(Error::Usage(what.to_owned()));
    }
    let event = options.event("extended", &members);
    change(options, |license| {
        extension.apply(license)?;
        let (allocated, terms) = (license.balance.allocated, &license.terms);
        let mut said = format!("{allocated} seconds until {}", utc::format(terms.exp));
        if extension.seats.is_some() {
            said.push_str(&format!(", {} of {} seats taken", license.sums.open, terms.seats));
        }
        Ok((said, event.clone()))
    })
}

pub(super) fn suspend(options: &Options) -> Result<String, Error> {
    become_status(options, Status::Suspended)
}

pub(super) fn resume(options: &Options) -> Result<String, Error> {
    become_status(options, Status::Active)
}

pub(super) fn revoke(options: &Options) -> Result<String, Error> {
    become_status(options, Status::Revoked)
}

fn become_status(options: &Options, status: Status) -> Result<String, Error> {
    let event = options.event(status.name(), &[]);
    change(options, |license| {
        if license.status == Status::Revoked {
            return Err("the license is revoked for good: create another one".to_owned());
        }
        if license.status == status {
            return Err(format!("the license is {} already", status.name()));
        }
        license.status = status;
        Ok((format!("the license is {}", status.name()), event.clone()))
    })
}

pub(super) fn release(options: &Options) -> Result<String, Error> {
    let computer = match options.computer()? {
        Some(computer) => Some(computer),
        None => only_computer(options)?,
    };
    let Some(computer) = computer else { return failed("no appliance holds such a seat") };
    change_with(options, Some(&computer), |accounts| {
        let seat = accounts.holder(&computer).and_then(|device| accounts.seats.get(&device));
        let seat = seat.ok_or("no appliance holds such a seat")?;
        let (device, held): (Digest, i64) = (seat.device, seat.outstanding());
        accounts.close(&device, 0);
        let members = [("computer_id", computer.as_str().into()), ("charged", held.into())];
        let event = options.event("released", &members);
        Ok((format!("released; the {held} seconds that it held were charged"), event))
    })
}

/// The computer of a license whose seat is the only one that is taken.
fn only_computer(options: &Options) -> Result<Option<String>, Error> {
    let mut computers = Vec::new();
    options.licenses()?.each_seat(&options.code()?, &mut |seat| {
        if seat.open && computers.len() < 2 {
            computers.push(seat.computer_id);
        }
    })?;
    if computers.len() > 1 {
        return failed(
            "several appliances hold seats: name one with --computer ID, as `show` writes it",
        );
    }
    Ok(computers.pop())
}

pub(super) fn credit(options: &Options) -> Result<String, Error> {
    let seconds = required("secs", options.number("secs", 1, UNLIMITED)?)?;
    let event = options.event("credited", &[("secs", seconds.into())]);
    change(options, |license| {
        if !license.balance.credit(seconds) {
            return Err(format!(
                "only {} seconds were charged, so no more can be credited",
                license.balance.charged
            ));
        }
        Ok((format!("{seconds} seconds were credited"), event.clone()))
    })
}
