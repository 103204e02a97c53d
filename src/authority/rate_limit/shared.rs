//! Wrong codes as the machines of an authority count them together, in records of their store.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::authority::database::{Database, KEYS, Key};
use crate::authority::records;
use crate::license::protocol::fields::{self, Fields};
use crate::store::Error;

use super::{Bucket, Client, OF_ALL, OF_ONE, Stage, place};

/// Records by which the addresses are told apart.
const SLOTS: u64 = 1_000;

/// Addresses in one record: 64,000 in all, so that a stranger with many addresses can't fill the store.
const MAX_CLIENTS: usize = 64;

/// Counts a wrong code of an address; the address as all machines know it.
pub(super) fn count(
    database: &dyn Database,
    source: IpAddr,
    stage: Stage,
    now: i64,
) -> Result<Client, Error> {
    let slot = format!("{:03}", slot_of(source));
    let mut counted = None;
    database.transact(&slot, &mut |step| {
        let key = Key::guesses(&slot);
        let mut clients = records::read(step, &key, clients_from)?.unwrap_or_default();
        let client = place(&mut clients, MAX_CLIENTS, source, now);
        client.count(stage, now);
        counted = Some(client.clone());
        step.write(key, Some(clients_to(&clients).to_string()));
        Ok(())
    })?;
    counted.ok_or_else(|| Error::new("a wrong code was not counted"))
}

/// Takes a token from the bucket of all addresses; the bucket as all machines know it.
pub(super) fn count_all(database: &dyn Database, now: i64) -> Result<Bucket, Error> {
    let mut bucket = Bucket::new(OF_ALL, now);
    database.transact(KEYS, &mut |step| {
        let key = Key::guesses(KEYS);
        let read = records::read(step, &key, |value| bucket_from(&Fields::of(value)?, OF_ALL))?;
        bucket = read.unwrap_or(Bucket::new(OF_ALL, now));
        bucket.refill(now);
        bucket.left -= 1;
        step.write(key, Some(json!({"left": bucket.left, "at": bucket.at}).to_string()));
        Ok(())
    })?;
    Ok(bucket)
}

fn slot_of(source: IpAddr) -> u64 {
    match source {
        IpAddr::V4(address) => u64::from(address.to_bits()) % SLOTS,
        IpAddr::V6(address) => (address.to_bits() >> 80) as u64 % SLOTS,
    }
}

fn clients_to(clients: &HashMap<IpAddr, Client>) -> Value {
    let client = |(address, client): (&IpAddr, &Client)| {
        let Client { since, wrong, bucket } = client;
        json!({"address": address.to_string(), "since": since, "wrong": wrong, "left": bucket.left, "at": bucket.at})
    };
    json!({"clients": clients.iter().map(client).collect::<Vec<_>>()})
}

fn clients_from(value: &Value) -> Result<HashMap<IpAddr, Client>, fields::Error> {
    let client = |value: &Value| {
        let fields = Fields::of(value)?;
        let address = fields.parsed("address", "an address", |text| text.parse().ok())?;
        let wrong = u32::try_from(fields.count("wrong")?).unwrap_or(u32::MAX);
        let bucket = bucket_from(&fields, OF_ONE)?;
        Ok((address, Client { since: fields.number("since")?, wrong, bucket }))
    };
    Fields::of(value)?.array("clients")?.iter().map(client).collect()
}

fn bucket_from(fields: &Fields<'_>, of: (i64, i64)) -> Result<Bucket, fields::Error> {
    let at = fields.number("at")?;
    Ok(Bucket { left: fields.number("left")?.min(of.0), ..Bucket::new(of, at) })
}
