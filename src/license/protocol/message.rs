//! Requests of an appliance and answers of the authority, as typed values and as JSON.
//!
//! Reading is strict about types and ranges and ignores unknown members; the version is in the
//! envelope ([`super::wire`]). All seconds are running totals of one epoch, so applying a message
//! twice changes nothing.

mod answer;

use std::fmt;

use serde_json::{Value, json};

pub use crate::license::protocol::message::answer::{Answer, Denial, Kind};

use super::fields::{Error, Fields, computer_id, license_code};
use super::hex::{Digest, RequestId};
use super::key::PublicKey;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A seat and the first seconds, after an administrator entered the license code.
    Activate,
    /// More seconds, and changes of the license.
    Sync,
    /// To return the seat and all unused seconds.
    Return,
    /// Whether the authority can be reached; needs no license.
    Probe,
}

impl Op {
    const ALL: [Op; 4] = [Op::Activate, Op::Sync, Op::Return, Op::Probe];

    /// The word in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Op::Activate => "activate",
            Op::Sync => "sync",
            Op::Return => "return",
            Op::Probe => "probe",
        }
    }
}

/// Whether the appliance will ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It asks again before its seconds are used up.
    Online,
    /// It will not ask again, so it asks for all seconds it may have.
    Offline,
}

impl Mode {
    /// The word in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Online => "online",
            Mode::Offline => "offline",
        }
    }
}

/// Who activated, for support; every text may be empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct User {
    /// At most 256 bytes, like the other two.
    pub username: String,
    /// Personal data: never logged.
    pub email_address: String,
    /// The customer, as entered by the person.
    pub company_name: String,
}

/// Shows no member, because all are personal data.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User")
    }
}

/// A request. A retry has the same fields, `req_id` above all; [`super::wire::seal`] adds the device
/// key and a new answer key.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What it asks for.
    pub op: Op,
    /// Identifies the request; a repeated one gets the same answer and changes nothing again.
    pub req_id: RequestId,
    /// When it was made, by the appliance's clock; never a reason to refuse.
    pub ts: i64,
    /// The 18-digit code; may be empty for [`Op::Probe`].
    pub license: String,
    /// The product number of the image.
    pub product: String,
    /// The version of the image.
    pub version: String,
    /// A UUID in lower case.
    pub computer_id: String,
    /// The previous computer id, while the authority may not know the new one yet.
    pub prev_computer_id: Option<String>,
    /// Epoch of the last token, which may be a return receipt; 0 if there was none.
    pub epoch: i64,
    /// `seq` of the last lease; 0 if there is none.
    pub seq: i64,
    /// SHA-256 of the text of the last lease or license certificate token; [`Digest::NONE`] if there is none.
    pub prev: Digest,
    /// Seconds used in this epoch.
    pub consumed: i64,
    /// Seconds granted in this epoch, as far as the appliance knows.
    pub granted: i64,
    /// The most seconds the appliance would like to hold; the authority has its own limit, so a large
    /// number means "as many as I may".
    pub want: i64,
    /// Whether the appliance will ask again.
    pub mode: Mode,
    /// Head of the appliance's usage log.
    pub log_head: Digest,
    /// The appliance's clock, in seconds since 1970.
    pub wall: i64,
    /// How often that clock was set back by more than a day.
    pub regressions: i64,
    /// `seq` of the appliance's bundle; a newer one comes with the answer.
    pub bundle_seq: i64,
    /// An activation of this device that was never answered and that this one replaces: once this one is
    /// granted, the other one can no longer be granted.
    pub instead_of: Option<RequestId>,
    /// Who activated.
    pub user: User,
}

/// Shows neither the license code nor the person.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { op, req_id, epoch, seq, consumed, .. } = self;
        write!(f, "Request({} {req_id} epoch {epoch} seq {seq} consumed {consumed})", op.name())
    }
}

const LONGEST_TEXT: usize = 256;

impl Request {
    /// The text that is sealed, with the two keys that sealing adds.
    pub(crate) fn to_json(&self, device: &PublicKey, answer_key: &str) -> Value {
        json!({
            "op": self.op.name(),
            "req_id": self.req_id.to_string(),
            "ts": self.ts,
            "license": self.license,
            "product": self.product,
            "version": self.version,
            "computer_id": self.computer_id,
            "prev_computer_id": self.prev_computer_id,
            "device_pub": device.to_string(),
            "epoch": self.epoch,
            "seq": self.seq,
            "prev": self.prev.to_string(),
            "consumed": self.consumed,
            "granted": self.granted,
            "want": self.want,
            "mode": self.mode.name(),
            "log_head": self.log_head.to_string(),
            "clock": {"wall": self.wall, "regressions": self.regressions},
            "bundle_seq": self.bundle_seq,
            "instead_of": self.instead_of.map(|id| id.to_string()),
            "user": {
                "username": self.user.username,
                "email_address": self.user.email_address,
                "company_name": self.user.company_name,
            },
            "rk": answer_key,
        })
    }

    pub(crate) fn from_fields(fields: &Fields<'_>) -> Result<Request, Error> {
        let op = |name: &str| Op::ALL.into_iter().find(|op| op.name() == name);
        let mode =
            |name: &str| [Mode::Online, Mode::Offline].into_iter().find(|m| m.name() == name);
        let op = fields.parsed("op", "activate, sync, return or probe", op)?;
        let (clock, user) = (fields.object("clock")?, fields.object("user")?);
        Ok(Request {
            op,
            req_id: fields.request_id("req_id")?,
            ts: fields.number("ts")?,
            license: fields.parsed("license", "18 digits", |text| match (op, text) {
                (Op::Probe, "") => Some(String::new()),
                _ => license_code(text),
            })?,
            product: fields.text("product", 16)?,
            version: fields.text("version", LONGEST_TEXT)?,
            computer_id: fields.parsed("computer_id", "a UUID", computer_id)?,
            prev_computer_id: fields.optional("prev_computer_id", "a UUID", computer_id)?,
            epoch: fields.count("epoch")?,
            seq: fields.count("seq")?,
            prev: fields.digest("prev")?,
            consumed: fields.count("consumed")?,
            granted: fields.count("granted")?,
            want: fields.count("want")?,
            mode: fields.parsed("mode", "online or offline", mode)?,
            log_head: fields.digest("log_head")?,
            wall: clock.number("wall")?,
            regressions: clock.count("regressions")?,
            bundle_seq: fields.count("bundle_seq")?,
            instead_of: fields.optional("instead_of", "32 hex digits", RequestId::parse)?,
            user: User {
                username: user.text("username", LONGEST_TEXT)?,
                email_address: user.text("email_address", LONGEST_TEXT)?,
                company_name: user.text("company_name", LONGEST_TEXT)?,
            },
        })
    }
}

#[cfg(test)]
mod tests;
