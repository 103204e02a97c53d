//! The records of a license as JSON: their keys, reading and writing.

use serde_json::{Map, Value, json};

use crate::license::protocol::fields::{self, Fields};
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Denial, Op, Request};
use crate::store::Error;
use crate::util::json;

use super::database::{Key, Kind, Transaction, shard_of};
use super::license::License;
use super::replay_ids::ReplayIds;
use super::seat::{Computer, Page, Seat, refusal};

/// Version of the license's record, and with it of all others.
const VERSION: i64 = 2;

/// The record of a license; `None` when there is none.
///
/// # Errors
/// When it can't be read or is damaged.
pub(crate) fn license(from: &mut dyn Transaction, code: &str) -> Result<Option<License>, Error> {
    read(from, &Key::of_license(Kind::License, code), license_from)
}

/// What a question of a device concerns as far as it is known before the first read.
pub(super) fn keys_of(device: &Digest, request: &Request) -> Vec<Key> {
    let code = &request.license;
    let mut keys = vec![
        Key::of_license(Kind::License, code),
        Key::within(Kind::Computer, code, &request.computer_id),
        Key::within(Kind::Seat, code, device),
        Key::totals(shard_of(code).parse().unwrap_or(0)),
    ];
    if request.op == Op::Activate {
        keys.push(Key::of_license(Kind::Refused, code));
    }
    keys
}

/// The activations that were denied.
pub(super) fn refused(
    from: &mut dyn Transaction,
    code: &str,
) -> Result<Vec<(RequestId, Denial)>, Error> {
    let read = read(from, &Key::of_license(Kind::Refused, code), |value| {
        refused_from(&Fields::of(value)?)
    });
    Ok(read?.unwrap_or_default())
}

/// A page of answered requests.
pub(super) fn answered(
    from: &mut dyn Transaction,
    code: &str,
    page: &Page,
) -> Result<Option<ReplayIds>, Error> {
    read(from, &page_key(code, page), |value| {
        Fields::of(value)?.parsed("ids", "a list of ids", ReplayIds::parse)
    })
}

/// A record with its key.
pub(crate) type Record = (Key, String);

pub(crate) fn license_record(license: &License) -> Record {
    (Key::of_license(Kind::License, &license.terms.code), license_to(license).to_string())
}

pub(super) fn seat_record(code: &str, seat: &Seat) -> Record {
    let members: Value = flat(json!(seat), &["user"]).into();
    (Key::within(Kind::Seat, code, seat.device), members.to_string())
}

pub(super) fn computer_record(code: &str, id: &str, computer: &Computer) -> Record {
    (Key::within(Kind::Computer, code, id), json!(computer).to_string())
}

pub(super) fn refused_record(code: &str, refused: &[(RequestId, Denial)]) -> Record {
    (Key::of_license(Kind::Refused, code), json!({"refused": refused}).to_string())
}

pub(super) fn answered_record(code: &str, page: &Page, ids: &ReplayIds) -> Record {
    (page_key(code, page), json!({"ids": ids}).to_string())
}

fn page_key(code: &str, page: &Page) -> Key {
    let Page { device, epoch, number } = page;
    Key::within(Kind::Answered, code, format_args!("{device}-{epoch}-{number}"))
}

/// Reads a record with `parse`.
pub(super) fn read<T>(
    from: &mut dyn Transaction,
    key: &Key,
    parse: impl FnOnce(&Value) -> Result<T, fields::Error>,
) -> Result<Option<T>, Error> {
    from.read(key)?.map(|text| parse_record(key, &text, parse)).transpose()
}

/// Reads the text of a record with `parse`.
///
/// # Errors
/// When it is damaged.
pub(crate) fn parse_record<T>(
    key: &Key,
    text: &str,
    parse: impl FnOnce(&Value) -> Result<T, fields::Error>,
) -> Result<T, Error> {
    let parsed = json::parse(text.as_bytes()).map_err(fields::Error::from);
    parsed.and_then(|value| parse(&value)).map_err(|what| {
        let text =
            format!("the record {} is damaged: {what}; restore it from a backup", key.redacted());
        Error::new(text)
    })
}

/// Reads a license; its seconds must add up.
pub(crate) fn license_from(value: &Value) -> Result<License, fields::Error> {
    let fields = Fields::of(value)?;
    fields.version(VERSION)?;
    let license = License::read(&fields)?;
    if license.is_consistent() { Ok(license) } else { Err("its seconds do not add up".into()) }
}

fn license_to(license: &License) -> Value {
    let mut members = flat(json!(license), &["terms", "buyer", "balance", "sums"]);
    members.insert("v".to_owned(), VERSION.into());
    if license.archived.lines == 0 {
        members.remove("archived");
    }
    members.into()
}

/// The members of an object, with those of its `inner` objects in place of these.
fn flat(object: Value, inner: &[&str]) -> Map<String, Value> {
    let mut members = Map::new();
    let Value::Object(object) = object else { return members };
    for (name, value) in object {
        match value {
            Value::Object(own) if inner.contains(&name.as_str()) => members.extend(own),
            other => drop(members.insert(name, other)),
        }
    }
    members
}

/// Reads the seat of a device; its totals must be possible.
pub(crate) fn seat_from(value: &Value) -> Result<Seat, fields::Error> {
    let seat = Seat::read(&Fields::of(value)?)?;
    if seat.is_consistent() { Ok(seat) } else { Err("its seconds do not add up".into()) }
}

/// Reads what is known of a computer.
pub(crate) fn computer_from(value: &Value) -> Result<Computer, fields::Error> {
    Computer::read(&Fields::of(value)?)
}

pub(super) fn refused_from(fields: &Fields<'_>) -> Result<Vec<(RequestId, Denial)>, fields::Error> {
    fields.list("refused", "a list of ids and reasons", refusal)
}
