//! The records of a license as JSON: their keys, reading and writing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::license::protocol::fields::{self, Fields, computer_id};
use crate::license::protocol::hex::{Digest, RequestId};
use crate::license::protocol::message::{Answer, Denial, Op, Request, User};
use crate::store::Error;
use crate::util::json;

use super::audit::AuditHead;
use super::balance::Balance;
use super::database::{Key, Kind, Transaction, shard_of};
use super::license::{Buyer, License, Status, Sums, Terms};
use super::replay_ids::ReplayIds;
use super::seat::{Computer, Page, Seat};

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

/// The seat of a device.
pub(super) fn seat(
    from: &mut dyn Transaction,
    code: &str,
    device: &Digest,
) -> Result<Option<Seat>, Error> {
    read(from, &Key::within(Kind::Seat, code, device), seat_from)
}

/// What is known of a computer.
pub(super) fn computer(
    from: &mut dyn Transaction,
    code: &str,
    id: &str,
) -> Result<Option<Computer>, Error> {
    read(from, &Key::within(Kind::Computer, code, id), computer_from)
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

/// Takes records that are not in a store yet.
#[derive(Default)]
pub(super) struct Written(pub(super) BTreeMap<Key, String>);

impl Transaction for Written {
    fn read(&mut self, _key: &Key) -> Result<Option<String>, Error> {
        Ok(None)
    }

    fn write(&mut self, key: Key, text: Option<String>) {
        self.0.extend(text.map(|text| (key, text)));
    }
}

pub(crate) fn put_license(to: &mut dyn Transaction, license: &License) {
    put(to, Key::of_license(Kind::License, &license.terms.code), &license_to(license));
}

pub(super) fn put_seat(to: &mut dyn Transaction, code: &str, seat: &Seat) {
    put(to, Key::within(Kind::Seat, code, seat.device), &seat_to(seat));
}

pub(super) fn put_computer(to: &mut dyn Transaction, code: &str, id: &str, computer: &Computer) {
    let value = json!({"holder": computer.holder, "takeovers": computer.takeovers});
    put(to, Key::within(Kind::Computer, code, id), &value);
}

pub(super) fn put_refused(to: &mut dyn Transaction, code: &str, refused: &[(RequestId, Denial)]) {
    put(to, Key::of_license(Kind::Refused, code), &json!({"refused": refused_to(refused)}));
}

pub(super) fn put_answered(to: &mut dyn Transaction, code: &str, page: &Page, ids: &ReplayIds) {
    put(to, page_key(code, page), &json!({"ids": ids.to_text()}));
}

fn page_key(code: &str, page: &Page) -> Key {
    let Page { device, epoch, number } = page;
    Key::within(Kind::Answered, code, format_args!("{device}-{epoch}-{number}"))
}

/// Writes a record.
pub(super) fn put(to: &mut dyn Transaction, key: Key, value: &Value) {
    to.write(key, Some(value.to_string()));
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
    let license = License {
        terms: Terms::read(&fields)?,
        buyer: Buyer::read(&fields)?,
        status: fields.parsed("status", "active, suspended or revoked", Status::parse)?,
        balance: Balance::read(&fields)?,
        sums: Sums::read(&fields)?,
        last_contact: fields.number("heard")?,
        changed: fields.number("changed")?,
        first_end: fields.number("first_end")?,
        audit: fields.object("audit", AuditHead::read)?,
        archived: match value["archived"].is_null() {
            true => AuditHead::none(),
            false => fields.object("archived", AuditHead::read)?,
        },
    };
    if license.is_consistent() { Ok(license) } else { Err("its seconds do not add up".into()) }
}

fn license_to(license: &License) -> Value {
    let archived = match license.archived.lines {
        0 => json!({}),
        _ => json!({"archived": license.archived}),
    };
    merged([
        archived,
        json!({"v": VERSION}),
        json!(license.terms),
        json!(license.buyer),
        json!(license.balance),
        json!(license.sums),
        json!({
            "status": license.status,
            "heard": license.last_contact,
            "changed": license.changed,
            "first_end": license.first_end,
            "audit": license.audit,
        }),
    ])
}

/// One object with the members of all.
fn merged<const N: usize>(parts: [Value; N]) -> Value {
    let mut all = serde_json::Map::new();
    for part in parts {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

/// Reads the seat of a device; its totals must be possible.
pub(crate) fn seat_from(value: &Value) -> Result<Seat, fields::Error> {
    let fields = Fields::of(value)?;
    let digest = |value: &Value| value.as_str().and_then(Digest::parse);
    let also = fields.array("also")?.iter().map(digest).collect::<Option<_>>();
    let last_answer = match &value["kept"] {
        Value::Null => None,
        answer => Some(Answer::from_json(answer)?),
    };
    let ids = |name| fields.parsed(name, "a list of ids", ReplayIds::parse);
    let seat = Seat {
        device: fields.digest("device")?,
        computer_id: fields.parsed("computer_id", "a UUID", computer_id)?,
        open: fields.flag("open")?,
        epoch: fields.count("epoch")?,
        seq: fields.count("seq")?,
        last: fields.digest("last")?,
        reissued: also.ok_or("`also` holds something that is no digest")?,
        granted: fields.count("granted")?,
        consumed: fields.count("consumed")?,
        opened_by: ids("opened_by")?.get(0),
        answered: ids("answered")?,
        activated: ids("activated")?,
        refused: refused_from(&fields)?,
        last_answer,
        moves: times(&fields, "moves")?,
        offline: fields.flag("offline")?,
        last_contact: fields.number("heard")?,
        version: fields.text("version", 256)?,
        log_head: fields.digest("log_head")?,
        regressions: fields.count("regressions")?,
        user: User::read(&fields)?,
    };
    if seat.is_consistent() { Ok(seat) } else { Err("its seconds do not add up".into()) }
}

fn seat_to(seat: &Seat) -> Value {
    let opened_by = ReplayIds::of(seat.opened_by);
    let value = json!({
        "device": seat.device,
        "computer_id": seat.computer_id,
        "open": seat.open,
        "epoch": seat.epoch,
        "seq": seat.seq,
        "last": seat.last,
        "also": seat.reissued,
        "granted": seat.granted,
        "consumed": seat.consumed,
        "opened_by": opened_by.to_text(),
        "answered": seat.answered.to_text(),
        "activated": seat.activated.to_text(),
        "refused": refused_to(&seat.refused),
        "kept": seat.last_answer.as_ref().map(Answer::to_json),
        "moves": seat.moves,
        "offline": seat.offline,
        "heard": seat.last_contact,
        "version": seat.version,
        "log_head": seat.log_head,
        "regressions": seat.regressions,
    });
    merged([value, json!(seat.user)])
}

/// Reads what is known of a computer.
pub(crate) fn computer_from(value: &Value) -> Result<Computer, fields::Error> {
    let fields = Fields::of(value)?;
    Ok(Computer {
        holder: fields.optional("holder", "64 lower-case hex digits", Digest::parse)?,
        takeovers: times(&fields, "takeovers")?,
    })
}

fn times(fields: &Fields<'_>, name: &str) -> Result<Vec<i64>, fields::Error> {
    let times = fields.array(name)?.iter().map(Value::as_i64).collect::<Option<_>>();
    times.ok_or_else(|| format!("`{name}` holds something that is no time").into())
}

pub(super) fn refused_to(refused: &[(RequestId, Denial)]) -> Vec<Value> {
    refused.iter().map(|(id, denial)| json!([id.to_string(), denial.name()])).collect()
}

pub(super) fn refused_from(fields: &Fields<'_>) -> Result<Vec<(RequestId, Denial)>, fields::Error> {
    let pair = |value: &Value| match value.as_array()?.as_slice() {
        [id, reason] => Some((RequestId::parse(id.as_str()?)?, Denial::parse(reason.as_str()?)?)),
        _ => None,
    };
    let read = fields.array("refused")?.iter().map(pair).collect::<Option<_>>();
    read.ok_or_else(|| "`refused` holds something else".into())
}
