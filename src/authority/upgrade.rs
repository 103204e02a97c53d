//! Brings a folder of release 0.1 over: there, a license with all its seats was one file, rewritten whole.
//!
//! | old file | becomes |
//! | --- | --- |
//! | `licenses/NNN/CODE.json` | `records/NNN/CODE/license.json`, and one record a seat and a computer |
//! | `licenses/NNN/CODE.log` | `records/NNN/CODE/audit.log`, unchanged |
//! | `keys.json`, `audit.log` | `records/keys/keys.json`, `records/keys/audit.log` |
//!
//! The keys come last, and only then the old files get the ending `.old`. Until then the old release works with
//! the folder, and an upgrade that was interrupted is repeated.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::license::protocol::fields::{self, Fields, license_code};
use crate::license::protocol::hex::RequestId;
use crate::license::protocol::message::Denial;
use crate::store::{self, Error};
use crate::util::json;

use super::accounts::Accounts;
use super::audit::AuditHead;
use super::balance::Balance;
use super::copy::{Batch, Copied, Target};
use super::database::files::list;
use super::database::{Key, Kind, Scope};
use super::license::{Buyer, License, Status, Sums, Terms};
use super::licenses::Licenses;
use super::records;
use super::replay_ids::ReplayIds;
use super::seat::{Computer, PAGE, Page, Seat};

/// Largest file of release 0.1, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// Ids of activations and of denied requests that each seat takes over; release 0.1 kept them for all together.
const MAX_ACTIVATED: usize = 900;
const MAX_REFUSED: usize = 100;

/// Brings everything over. `progress` gets the number of licenses so far.
///
/// # Errors
/// When there is nothing to bring over, when a file is damaged or of an unknown version, or when the system refuses.
pub(crate) fn upgrade(
    dir: &Path,
    to: &mut Licenses,
    progress: &mut dyn FnMut(u64),
) -> Result<Copied, Error> {
    let path = dir.join("keys.json");
    let Some(keys) = document(&path)? else {
        let what = "holds nothing of an earlier release";
        return Err(Error::new(format!("{} {what}", dir.display())));
    };
    if keys["v"] != 1 {
        return Err(damaged(&path, &format_args!("version {} is not known", keys["v"])));
    }
    let mut copied = Copied::default();
    let old = dir.join("licenses");
    for shard in list(&old)? {
        for name in list(&old.join(&shard))? {
            let Some(code) = name.strip_suffix(".json").and_then(license_code) else { continue };
            match bring_over(&old.join(&shard), &code, to)? {
                true => copied.licenses += 1,
                false => copied.unchanged += 1,
            }
            progress(copied.licenses + copied.unchanged);
        }
    }
    bring_keys_over(dir, keys, to)?;
    for name in ["keys.json", "audit.log", "licenses"] {
        let from = dir.join(name);
        let moved = fs::rename(&from, dir.join(format!("{name}.old")));
        match moved {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::system("rename", &from, &error));
            }
            _ => store::sync_folder_of(&from)?,
        }
    }
    Ok(copied)
}

fn bring_keys_over(dir: &Path, mut keys: Value, to: &mut Licenses) -> Result<(), Error> {
    let (lines, head) = audit_log(&dir.join("audit.log"), &keys)?;
    let scope = Scope::All { kind: Kind::KeyAudit };
    put_lines(to, scope, lines, Key::key_audit)?;
    if let Some(members) = keys.as_object_mut() {
        members.insert("v".to_owned(), 2.into());
        members.insert("audit".to_owned(), json!(head));
    }
    to.put(vec![(Key::keys(), keys.to_string())])
}

/// Brings one license over; false if that was done.
fn bring_over(shard: &Path, code: &str, to: &mut Licenses) -> Result<bool, Error> {
    if to.license(code)?.is_some() {
        return Ok(false);
    }
    let path = shard.join(format!("{code}.json"));
    let value = document(&path)?.unwrap_or_default();
    let (lines, head) = audit_log(&shard.join(format!("{code}.log")), &value)?;
    let accounts = read(&value, head).map_err(|what| damaged(&path, &what))?;
    let license = accounts.license.clone();
    let records = accounts.changes_from(&Accounts::new(license.clone()));
    // The license's own record makes it complete.
    put_all(to, records.into_iter().filter(|(key, _)| key.kind() != Some(Kind::License)))?;
    put_lines(to, Scope::License { kind: Kind::Audit, code }, lines, |number| {
        Key::audit(code, number)
    })?;
    to.complete(&license)?;
    Ok(true)
}

/// Writes the lines that are not there yet.
fn put_lines(
    to: &mut Licenses,
    scope: Scope<'_>,
    lines: Vec<String>,
    key: impl Fn(u64) -> Key,
) -> Result<(), Error> {
    let there = to.last_line(scope)?;
    let numbered = (1..).zip(lines).filter(|(number, _)| *number > there);
    put_all(to, numbered.map(|(number, line)| (key(number), line)))
}

fn put_all(
    to: &mut Licenses,
    records: impl IntoIterator<Item = (Key, String)>,
) -> Result<(), Error> {
    let mut batch = Batch::default();
    for (key, text) in records {
        batch.push(key, text, to)?;
    }
    batch.flush(to)
}

/// A license of release 0.1 with all its accounts.
fn read(value: &Value, audit: AuditHead) -> Result<Accounts, fields::Error> {
    let fields = Fields::of(value)?;
    fields.version(1)?;
    let activated = fields.parsed("activated", "a list of ids", ReplayIds::parse)?;
    let refused = records::refused_from(&fields)?;
    let mut computers: BTreeMap<String, Computer> = BTreeMap::new();
    for pair in fields.array("takeovers")? {
        let (Some(time), Some(computer)) = (pair[0].as_i64(), pair[1].as_str()) else {
            return Err("`takeovers` holds something else".into());
        };
        computers.entry(computer.to_owned()).or_default().takeovers.push(time);
    }
    let (mut seats, mut answered) = (BTreeMap::new(), BTreeMap::new());
    for activation in fields.array("activations")? {
        let (seat, full) = read_seat(activation, &activated, &refused)?;
        answered.extend(full);
        if seat.open {
            computers.entry(seat.computer_id.clone()).or_default().holder = Some(seat.device);
        }
        seats.insert(seat.device, seat);
    }
    let open = || seats.values().filter(|seat| seat.open);
    let license = License {
        terms: Terms::read(&fields)?,
        buyer: Buyer::default(),
        status: fields.parsed("status", "active, suspended or revoked", Status::parse)?,
        balance: Balance::read(&fields)?,
        sums: Sums {
            open: i64::try_from(open().count()).unwrap_or(i64::MAX),
            granted: open().map(|seat| seat.granted).sum(),
            consumed: open().map(|seat| seat.consumed).sum(),
            activations: i64::try_from(activated.len()).unwrap_or(i64::MAX),
            takeovers: i64::try_from(fields.array("takeovers")?.len()).unwrap_or(i64::MAX),
        },
        last_contact: seats.values().map(|seat| seat.last_contact).max().unwrap_or(0),
        changed: 0,
        first_end: 0,
        audit,
        archived: AuditHead::none(),
    };
    if !license.is_consistent() {
        return Err("its seconds do not add up".into());
    }
    Ok(Accounts { license, seats, computers, refused, answered })
}

/// Reads the accounts of a device, with the ids that all devices of its license had together.
fn read_seat(
    value: &Value,
    activated: &ReplayIds,
    refused: &[(RequestId, Denial)],
) -> Result<(Seat, Vec<(Page, ReplayIds)>), fields::Error> {
    let fields = Fields::of(value)?;
    let ids = fields.parsed("ids", "a list of ids", ReplayIds::parse)?;
    let refused = &refused[refused.len().saturating_sub(MAX_REFUSED)..];
    let mut new = value.clone();
    let Some(members) = new.as_object_mut() else { return Err("not a JSON object".into()) };
    for (name, value) in [
        ("opened_by", json!(ids.pages(1).next().unwrap_or_default())),
        ("answered", "".into()),
        ("activated", json!(activated.newest(MAX_ACTIVATED))),
        ("refused", json!(refused)),
    ] {
        members.insert(name.to_owned(), value);
    }
    let mut seat = records::seat_from(&new)?;
    // The ids that were forgotten have a place too, for an id is found by its place.
    let forgotten = usize::try_from(seat.seq).unwrap_or(0).saturating_sub(ids.len());
    let mut pages = Vec::new();
    let (device, epoch) = (seat.device, seat.epoch);
    let all = ReplayIds::forgotten(if ids.len() == 0 { 0 } else { forgotten }).with(&ids);
    for (number, page) in all.pages(PAGE).enumerate() {
        match page.len() == PAGE {
            true => pages.push((Page { device, epoch, number }, page)),
            false => seat.answered = page,
        }
    }
    Ok((seat, pages))
}

/// The lines of an audit log with the newest one, which the state holds as well, and its end.
fn audit_log(path: &Path, state: &Value) -> Result<(Vec<String>, AuditHead), Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::system("read", path, &error))?;
    let newest = state["audit"].as_str().unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.last().is_none_or(|last| last != newest) {
        // A power cut took the line, or a part of it.
        if lines
            .last()
            .is_some_and(|last| !text.ends_with('\n') && newest.starts_with(last.as_str()))
        {
            lines.pop();
        }
        lines.push(newest.to_owned());
    }
    let mut head = AuditHead::none();
    for line in &lines {
        head = head.followed_by(line).map_err(|fault| damaged(path, &fault))?;
    }
    Ok((lines, head))
}

fn document(path: &Path) -> Result<Option<Value>, Error> {
    let Some(bytes) = store::read(path, MAX_BYTES)? else { return Ok(None) };
    json::parse(&bytes).map(Some).map_err(|what| damaged(path, &what))
}

fn damaged(path: &Path, what: &dyn std::fmt::Display) -> Error {
    Error::new(format!("{} is damaged: {what}; restore it from a backup", path.display()))
}
