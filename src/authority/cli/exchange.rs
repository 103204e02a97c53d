//! `export` and `import`: what was sold, one license a line, for other programs and for what was lost.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::str::FromStr;

use serde_json::Value;

use super::listings::Printer;
use super::options::{MAX_DAYS, Options, now};
use super::terms::MAX_SEATS;
use super::{Error, complain};
use crate::authority::database::redacted;
use crate::authority::keyring::Keyring;
use crate::authority::license::{Buyer, DAY, License, MAX_WORDS, Status, Terms};
use crate::authority::licenses::Licenses;
use crate::license::protocol::claims::UNLIMITED;
use crate::license::protocol::fields::{license_code, normalize_code};
use crate::util::{json, utc};

/// Names of the columns of `export`.
const COLUMNS: [&str; 16] = [
    "license",
    "status",
    "product",
    "trial",
    "created",
    "expires",
    "grace_days",
    "lease_days",
    "activations",
    "cache",
    "offline_mode",
    "offline_secs",
    "secs_allocated",
    "customer_name",
    "order",
    "note",
];

pub(super) fn export(options: &Options) -> Result<String, Error> {
    let mut out = Printer::new();
    let csv = !options.json();
    if csv {
        out.text(&(COLUMNS.join(",") + "\r\n"))?;
    }
    out.print(
        options,
        |_| true,
        |license, _| {
            let row = sold(license);
            if !csv {
                let row = COLUMNS.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value));
                return Ok(format!("{}\n", Value::Object(row.collect())));
            }
            let cells: Vec<String> = row.iter().map(cell).collect();
            Ok(cells.join(",") + "\r\n")
        },
    )?;
    out.finish()
}

/// What was sold, in the order of [`COLUMNS`].
fn sold(license: &License) -> [Value; 16] {
    let (terms, buyer) = (&license.terms, &license.buyer);
    [
        terms.code.as_str().into(),
        license.status.name().into(),
        terms.product.as_str().into(),
        (terms.kind == 2).into(),
        utc::format(terms.created).into(),
        utc::format(terms.exp).into(),
        (terms.grace / DAY).into(),
        (terms.lease / DAY).into(),
        terms.seats.into(),
        terms.cache.into(),
        terms.offline.into(),
        terms.offline_secs.into(),
        license.balance.allocated.into(),
        buyer.customer_name.as_str().into(),
        buyer.order.as_str().into(),
        buyer.note.as_str().into(),
    ]
}

/// A value as a cell (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe.
fn cell(value: &Value) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    let text = format!("{}{text}", if is_formula(text) { "'" } else { "" });
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// Whether a spreadsheet would take a text for a formula, or for one with apostrophes before it.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@'])
}

/// The cells of a line, without the apostrophes that [`cell`] adds.
fn cells(line: &str) -> Result<Vec<String>, String> {
    let (mut cells, mut rest) = (Vec::new(), line);
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => {
                let (cell, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (cell.to_owned(), after)
            }
        };
        let without = cell.strip_prefix('\'').filter(|without| is_formula(without));
        cells.push(without.map(str::to_owned).unwrap_or(cell));
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(cells),
            None => return Err("something follows a closing quote".to_owned()),
        }
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted_cell(text: &str) -> Result<(String, &str), String> {
    let (mut cell, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote is not closed on its line")?;
        cell.push_str(before);
        let Some(next) = after.strip_prefix('"') else { return Ok((cell, after)) };
        cell.push('"');
        rest = next;
    }
}

/// One line of the file: the columns as texts.
struct Row(BTreeMap<String, String>);

impl Row {
    fn of_cells(columns: &[String], line: &str) -> Result<Row, String> {
        let cells = cells(line)?;
        if cells.len() != columns.len() {
            let (has, wanted) = (cells.len(), columns.len());
            return Err(format!("it has {has} cells, and the first line {wanted}"));
        }
        Ok(Row(columns.iter().cloned().zip(cells).collect()))
    }

    fn of_json(line: &str) -> Result<Row, String> {
        let value = json::parse(line.as_bytes()).map_err(|error| error.to_string())?;
        let members = value.as_object().ok_or("it is not a JSON object")?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        known(members.keys())?;
        Ok(Row(members.iter().map(|(name, value)| (name.clone(), text(value))).collect()))
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        self.0.get(name).map(String::as_str).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn read<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, String> {
        read(self.text(name)?).ok_or_else(|| format!("`{name}` is not {kind}"))
    }

    fn number(&self, name: &str, least: i64, most: i64) -> Result<i64, String> {
        self.read(name, &format!("a whole number from {least} to {most}"), |text| {
            i64::from_str(text).ok().filter(|number| (least..=most).contains(number))
        })
    }

    fn date(&self, name: &str) -> Result<i64, String> {
        self.read(name, "a date as in 2027-10-16T12:26:37Z", utc::parse)
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        self.read(name, "true or false", |text| text.to_lowercase().parse().ok())
    }

    fn words(&self, name: &str) -> Result<String, String> {
        self.read(name, &format!("a line of at most {MAX_WORDS} bytes"), |text| {
            let fits = text.len() <= MAX_WORDS && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned())
        })
    }

    /// The license that was sold so.
    fn license(&self) -> Result<License, String> {
        let digits = "18 digits (spreadsheets round long numbers: its column has to be text there)";
        let product = |text: &str| {
            let fits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| text.to_owned())
        };
        let terms = Terms {
            code: self.read("license", digits, |text| license_code(&normalize_code(text)))?,
            product: self.read("product", "1 to 5 digits", product)?,
            kind: if self.flag("trial")? { 2 } else { 6 },
            seats: self.number("activations", 1, MAX_SEATS)?,
            cache: self.number("cache", 1, UNLIMITED)?,
            exp: self.date("expires")?,
            grace: self.number("grace_days", 0, MAX_DAYS)? * DAY,
            lease: self.number("lease_days", 1, MAX_DAYS)? * DAY,
            offline: self.flag("offline_mode")?,
            offline_secs: self.number("offline_secs", 0, UNLIMITED)?,
            created: self.date("created")?,
        };
        let seconds = self.number("secs_allocated", 1, UNLIMITED)?;
        let mut license = License::new(terms, seconds);
        license.status = self.read("status", "active, suspended or revoked", Status::parse)?;
        license.buyer = Buyer {
            customer_name: self.words("customer_name")?,
            order: self.words("order")?,
            note: self.words("note")?,
        };
        Ok(license)
    }
}

/// Refuses a name that is no column's.
fn known<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    for name in names {
        if !COLUMNS.contains(&name.as_str()) {
            return Err(format!("unknown column `{}`", name.escape_debug()));
        }
    }
    Ok(())
}

/// How many lines came to what.
#[derive(Default)]
struct Imported {
    made: u64,
    there: u64,
    different: u64,
    faults: u64,
}

impl Imported {
    fn said(&self) -> String {
        let Imported { made, there, different, faults } = self;
        let mut said = format!(
            "made: {made}; there already with the same terms: {there}; different: {different}; \
             lines with errors: {faults}"
        );
        if *made > 0 {
            said.push_str(
                "\nThe new ones have all their seconds again: what was used of them is not in the file.",
            );
        }
        said
    }
}

pub(super) fn import(options: &Options) -> Result<String, Error> {
    let customer = format!("{:04}", Keyring::load(&*options.database()?, &options.dir)?.customer);
    let name = options.argument.as_str();
    let unread = |error: io::Error| Error::Failed(format!("cannot read {name}: {error}"));
    let input: Box<dyn BufRead> = match name {
        "-" => Box::new(io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(name).map_err(unread)?)),
    };
    let (licenses, mut done) = (options.licenses()?, Imported::default());
    let mut columns: Option<Vec<String>> = None;
    for (number, line) in (1_u64..).zip(input.split(b'\n')) {
        let line = line.map_err(unread)?;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_start_matches('\u{feff}').trim_end_matches('\r');
        if text.is_empty() {
            continue;
        }
        let row = match &columns {
            _ if text.contains('\u{fffd}') => Err("it is not UTF-8".to_owned()),
            _ if text.starts_with('{') => Row::of_json(text),
            Some(columns) => Row::of_cells(columns, text),
            None => {
                let head = head(text).map_err(|fault| Error::Failed(format!("line 1: {fault}")))?;
                columns = Some(head);
                continue;
            }
        };
        let license = row.and_then(|row| row.license()).and_then(|license| {
            let ours = license.terms.code.starts_with(&customer);
            ours.then_some(license)
                .ok_or_else(|| format!("the codes of this authority begin with {customer}"))
        });
        let outcome = match license {
            Err(fault) => {
                done.faults += 1;
                Err(fault)
            }
            Ok(license) => put(options, &licenses, &license, &mut done).map_err(|error| {
                Error::Failed(format!(
                    "line {number}: {error}; import the same file again. {}",
                    done.said()
                ))
            })?,
        };
        if let Err(fault) = outcome {
            complain(format_args!("line {number}: {fault}"));
        }
    }
    match done.faults + done.different {
        0 => Ok(done.said()),
        _ => Err(Error::Partial(done.said(), "not all lines were imported".to_owned())),
    }
}

/// The columns that the first line names.
fn head(line: &str) -> Result<Vec<String>, String> {
    let columns = cells(line)?;
    known(columns.iter())?;
    let missing: Vec<&str> =
        COLUMNS.into_iter().filter(|name| !columns.iter().any(|column| column == name)).collect();
    match missing.is_empty() {
        true => Ok(columns),
        false => Err(format!("columns are missing, see `export`: {}", missing.join(", "))),
    }
}

/// Makes a license that is missing; says how one that is there differs.
fn put(
    options: &Options,
    licenses: &Licenses,
    license: &License,
    done: &mut Imported,
) -> Result<Result<(), String>, crate::store::Error> {
    let code = &license.terms.code;
    let members = [("secs", license.balance.allocated.into()), ("exp", license.terms.exp.into())];
    if licenses.create(license, now(), &options.event("imported", &members))? {
        done.made += 1;
        return Ok(Ok(()));
    }
    let there = licenses.read(code)?;
    let pairs = there.iter().flat_map(sold).zip(sold(license));
    let differ: Vec<&str> = COLUMNS
        .into_iter()
        .zip(pairs)
        .filter_map(|(name, (there, here))| (there != here).then_some(name))
        .collect();
    if differ.is_empty() {
        done.there += 1;
        return Ok(Ok(()));
    }
    done.different += 1;
    Ok(Err(format!("the license {} is there with other {}", redacted(code), differ.join(", "))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{cell, cells};

    #[test]
    fn a_cell_is_read_as_it_was_written() {
        let texts =
            ["", "a", "a,b", "\"", "say \"hi\", you", "=1+1", "'=1", "''@x", "'a", "-", "ü", "a'b"];
        let line: Vec<String> = texts.iter().map(|text| cell(&(*text).into())).collect();
        assert_eq!(cells(&line.join(",")).unwrap(), texts);
        assert_eq!(cell(&"=1+1".into()), "'=1+1");
        assert!(cells("\"a\"b,c").is_err() && cells("a,\"b").is_err());
    }
}
