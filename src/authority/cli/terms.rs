//! `create` and the commands that change a license.

use serde_json::{Value, json};

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
    let seconds = match options.value("secs") {
        Some("unlimited") => UNLIMITED,
        _ => required("secs", options.number("secs", 1, UNLIMITED)?)?,
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
                return Err(Error::Partial(written(&codes, options), fault));
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
type Done = Result<(String, Value), String>;

/// Changes a license, and the seat of `computer` if one is named.
fn change_with(
    options: &Options,
    computer: Option<&str>,
    mut change: impl FnMut(&mut Accounts) -> Done,
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
    mut change: impl FnMut(&mut License) -> Done,
) -> Result<String, Error> {
    change_with(options, None, |accounts| change(&mut accounts.license))
}

/// One thing that `extend` changes: its name in the audit log, its value there, and how a license gets it.
type Change = (&'static str, Value, Box<dyn Fn(&mut License)>);

/// What the flags of `extend` change, but for the seconds.
fn changes(options: &Options) -> Result<Vec<Change>, Error> {
    let days =
        |flag, least| Ok::<_, Error>(options.number(flag, least, MAX_DAYS)?.map(|n| n * DAY));
    let words = |flag| options.words(flag);
    let seats = options.number("activations", 1, MAX_SEATS)?;
    let cache = options.number("cache", 1, UNLIMITED)?;
    let offline_secs = options.number("offline-secs", 1, UNLIMITED)?;
    let product = options.digits("product", 5)?.map(str::to_owned);
    let changes = [
        change_to("exp", options.date("expires")?, |license| &mut license.terms.exp),
        change_to("activations", seats, |license| &mut license.terms.seats),
        change_to("cache", cache, |license| &mut license.terms.cache),
        change_to("lease", days("lease-days", 1)?, |license| &mut license.terms.lease),
        change_to("grace", days("grace-days", 0)?, |license| &mut license.terms.grace),
        change_to("offline_secs", offline_secs, |license| &mut license.terms.offline_secs),
        change_to("offline_mode", options.yes_or_no("offline-mode")?, |license| {
            &mut license.terms.offline
        }),
        change_to("product", product, |license| &mut license.terms.product),
        change_to("customer_name", words("customer-name")?, |license| {
            &mut license.buyer.customer_name
        }),
        change_to("order", words("order")?, |license| &mut license.buyer.order),
        change_to("note", words("note")?, |license| &mut license.buyer.note),
    ];
    Ok(changes.into_iter().flatten().collect())
}

fn change_to<T: Clone + Into<Value> + 'static>(
    name: &'static str,
    value: Option<T>,
    place: fn(&mut License) -> &mut T,
) -> Option<Change> {
    let value = value?;
    let told = value.clone().into();
    Some((name, told, Box::new(move |license| place(license).clone_from(&value))))
}

pub(super) fn extend(options: &Options) -> Result<String, Error> {
    let seconds = options.number("secs", 1, UNLIMITED - 1)?;
    let changes = changes(options)?;
    let told = changes.iter().map(|(name, value, _)| (*name, value.clone()));
    let members: Vec<_> = seconds.map(|n| ("secs", n.into())).into_iter().chain(told).collect();
    if members.is_empty() {
        let what =
            "extend takes what to change: --expires, --secs, --activations and others, see --help";
        return Err(Error::Usage(what.to_owned()));
    }
    if options.date("expires")?.is_some_and(|exp| exp <= now()) && !options.given("yes") {
        let what = "--expires is in the past, which ends the license for all its appliances: add --yes if you \
                    mean it";
        return Err(Error::Usage(what.to_owned()));
    }
    let event = options.event("extended", &members);
    change(options, |license| {
        if seconds.is_some_and(|seconds| !license.balance.extend(seconds)) {
            return Err(format!("a license has fewer than {UNLIMITED} seconds, or is unlimited"));
        }
        changes.iter().for_each(|(_, _, change)| change(license));
        if ["expires", "lease-days", "grace-days"].iter().any(|flag| options.given(flag)) {
            // Leases may end at other times by these terms.
            license.first_end = 0;
        }
        let (allocated, terms) = (license.balance.allocated, &license.terms);
        let mut said = format!("{allocated} seconds until {}", utc::format(terms.exp));
        if options.given("activations") {
            said.push_str(&format!(", {} of {} seats taken", license.sums.open, terms.seats));
        }
        Ok((said, event.clone()))
    })
}

/// `suspend`, `resume` and `revoke`.
pub(super) fn become_status(options: &Options, status: Status) -> Result<String, Error> {
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
