//! What an appliance asks and what the authority answers, as typed values and as JSON.
//!
//! Reading is strict about types and ranges and ignores unknown members; the version stands in the
//! envelope ([`super::wire`]). All seconds are running totals of one epoch, so that applying a message
//! twice changes nothing.

use std::fmt;

use serde_json::{Value, json};

use super::fields::{Fields, computer_id, license_code};
use super::hex::{Digest, RequestId};
use super::key::PublicKey;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A seat and the first seconds, because an administrator entered the license code.
    Activate,
    /// More seconds, and what has changed about the license.
    Sync,
    /// To give back the seat and all unused seconds.
    Return,
    /// A sign of life; needs no license.
    Probe,
}

impl Op {
    const ALL: [Op; 4] = [Op::Activate, Op::Sync, Op::Return, Op::Probe];

    /// As in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Op::Activate => "activate",
            Op::Sync => "sync",
            Op::Return => "return",
            Op::Probe => "probe",
        }
    }
}

/// How the appliance will live with what it is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It asks again before its cache is used up.
    Online,
    /// It will not ask again: it wants all it may have.
    Offline,
}

impl Mode {
    /// As in the JSON.
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
    /// At most 256 bytes, as the others.
    pub username: String,
    /// Personal data: never logged.
    pub email_address: String,
    /// The customer, in the person's own words.
    pub company_name: String,
}

/// A question. A retry has the same fields, `req_id` above all; [`super::wire::seal`] adds the device
/// key and a fresh answer key.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub op: Op,
    /// Names the question; the same one is answered the same way and changes nothing again.
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
    /// The one before, while the authority may not know of the new one yet.
    pub prev_computer_id: Option<String>,
    /// From the last token, the receipt of a return included; 0 if there was none.
    pub epoch: i64,
    /// From the last lease; 0 if there is none.
    pub seq: i64,
    /// SHA-256 of the text of the last lease or license certificate token; [`Digest::NONE`] if there is none.
    pub prev: Digest,
    /// Seconds used in this epoch.
    pub consumed: i64,
    /// Seconds granted in this epoch, as the appliance knows.
    pub granted: i64,
    /// The most seconds the appliance would like to hold; the authority has its own limit, so a large
    /// number means "as many as I may".
    pub want: i64,
    /// How it will live with them.
    pub mode: Mode,
    /// Head of the appliance's usage log.
    pub log_head: Digest,
    /// The appliance's clock, in seconds since 1970.
    pub wall: i64,
    /// How often that clock was set back by more than a day.
    pub regressions: i64,
    /// `seq` of the appliance's bundle; a newer one comes with the answer.
    pub bundle_seq: i64,
    /// Who activated.
    pub user: User,
}

/// Tells what was asked, and neither code nor person.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { op, req_id, epoch, seq, consumed, .. } = self;
        write!(f, "Request({} {req_id} epoch {epoch} seq {seq} consumed {consumed})", op.name())
    }
}

const LONGEST_TEXT: usize = 256;

impl Request {
    /// The sealed text, with what only the sealing knows.
    pub(super) fn to_json(&self, device: &PublicKey, answer_key: &str) -> Value {
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
            "user": {
                "username": self.user.username,
                "email_address": self.user.email_address,
                "company_name": self.user.company_name,
            },
            "rk": answer_key,
        })
    }

    pub(super) fn from_fields(fields: &Fields<'_>) -> Result<Request, String> {
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
            user: User {
                username: user.text("username", LONGEST_TEXT)?,
                email_address: user.text("email_address", LONGEST_TEXT)?,
                company_name: user.text("company_name", LONGEST_TEXT)?,
            },
        })
    }
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `token` is a lease. After [`Op::Activate`] it begins an epoch: nothing is consumed.
    Lease,
    /// The accounts did not fit; `token` is a lease that begins a new epoch with nothing consumed, and
    /// what was outstanding in the old one is charged.
    Reset,
    /// `returned` seconds went back; `token` is a return receipt.
    Returned,
    /// Refused for `reason`; nothing changed.
    Denied,
    /// This question was answered long ago and others after it; nothing changed. Drop it and ask anew.
    Stale,
    /// A sign of life.
    Probe,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Lease, Kind::Reset, Kind::Returned, Kind::Denied, Kind::Stale, Kind::Probe];

    /// As in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Lease => "lease",
            Kind::Reset => "reset",
            Kind::Returned => "returned",
            Kind::Denied => "denied",
            Kind::Stale => "stale",
            Kind::Probe => "probe",
        }
    }
}

/// Why the authority refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// No such license, or not for this product.
    UnknownLicense,
    /// Too many wrong codes from there in the last hour.
    TooManyTries,
    /// The license is suspended; it may be resumed.
    Suspended,
    /// The license is revoked for good.
    Revoked,
    /// The subscription and its grace have ended; it may be extended.
    Expired,
    /// All seats are taken.
    ActivationsExceeded,
    /// Another appliance took this one's seat, or this one is a copy.
    Duplicate,
    /// The license does not allow offline mode.
    OfflineNotAllowed,
    /// The totals of an offline renewal are lower than known ones.
    WentBack,
    /// The authority can't answer now, through no fault of the appliance; try again later.
    Unavailable,
}

impl Denial {
    const ALL: [Denial; 10] = [
        Denial::UnknownLicense,
        Denial::TooManyTries,
        Denial::Suspended,
        Denial::Revoked,
        Denial::Expired,
        Denial::ActivationsExceeded,
        Denial::Duplicate,
        Denial::OfflineNotAllowed,
        Denial::WentBack,
        Denial::Unavailable,
    ];

    /// The stable word.
    pub fn reason(self) -> &'static str {
        match self {
            Denial::UnknownLicense => "unknown_license",
            Denial::TooManyTries => "too_many_tries",
            Denial::Suspended => "license_suspended",
            Denial::Revoked => "license_revoked",
            Denial::Expired => "subscription_expired",
            Denial::ActivationsExceeded => "activations_exceeded",
            Denial::Duplicate => "duplicate_device",
            Denial::OfflineNotAllowed => "offline_not_allowed",
            Denial::WentBack => "totals_went_back",
            Denial::Unavailable => "authority_unavailable",
        }
    }

    /// The status number of the original's library.
    pub fn code(self) -> i64 {
        match self {
            Denial::UnknownLicense | Denial::TooManyTries => -50,
            Denial::Suspended | Denial::Revoked => -114,
            Denial::Expired => -116,
            Denial::ActivationsExceeded => -115,
            Denial::Duplicate | Denial::WentBack => -117,
            Denial::OfflineNotAllowed => -3,
            Denial::Unavailable => 0,
        }
    }

    /// What is wrong and what to do, for the administrator of the appliance.
    pub fn sentence(self) -> &'static str {
        match self {
            Denial::UnknownLicense => {
                "the license authority does not know this license code for this product: check its digits"
            }
            Denial::TooManyTries => "too many wrong license codes: wait an hour and try again",
            Denial::Suspended => "the license is suspended: ask your vendor",
            Denial::Revoked => "the license has been revoked: ask your vendor",
            Denial::Expired => "the subscription has expired: ask your vendor to extend it",
            Denial::ActivationsExceeded => {
                "all activations of this license are in use: remove the license from another appliance first"
            }
            Denial::Duplicate => {
                "another appliance uses this activation: apply the license again on the one that shall have it"
            }
            Denial::OfflineNotAllowed => "Offline mode not enabled for this license",
            Denial::WentBack => {
                "the usage told is lower than the usage already known: restore the newer state, or ask your vendor"
            }
            Denial::Unavailable => {
                "the license authority can't answer at the moment: try again later"
            }
        }
    }
}

/// An answer, as it stands inside the seal.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question.
    pub req_id: RequestId,
    /// The authority's clock, in seconds since 1970; the only clock of the network to be believed.
    pub server_time: i64,
    /// What became of the question.
    pub kind: Kind,
    /// A lease or a receipt, to be verified before it is believed.
    pub token: Option<String>,
    /// Seconds that went back to the license; 0 unless [`Kind::Returned`].
    pub returned: i64,
    /// A bundle newer than the appliance's.
    pub bundle: Option<String>,
    /// Why, if [`Kind::Denied`]; `None` there for a reason that only a later release knows.
    pub denial: Option<Denial>,
    /// Status number of the original's library that goes with a refusal, 0 otherwise.
    pub code: i64,
    /// For the administrator; may be empty.
    pub message: String,
}

/// Tells what became of the question; tokens name licenses.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { req_id, kind, code, .. } = self;
        write!(f, "Answer({} {req_id} code {code})", kind.name())
    }
}

impl Answer {
    /// An answer that brings nothing but its kind.
    pub fn plain(req_id: RequestId, server_time: i64, kind: Kind) -> Answer {
        Answer {
            req_id,
            server_time,
            kind,
            token: None,
            returned: 0,
            bundle: None,
            denial: None,
            code: 0,
            message: String::new(),
        }
    }

    /// A refusal with the sentence that belongs to it.
    pub fn denied(req_id: RequestId, server_time: i64, denial: Denial) -> Answer {
        Answer {
            denial: Some(denial),
            code: denial.code(),
            message: denial.sentence().to_owned(),
            ..Answer::plain(req_id, server_time, Kind::Denied)
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "ok": !matches!(self.kind, Kind::Denied | Kind::Stale),
            "req_id": self.req_id.to_string(),
            "server_time": self.server_time,
            "kind": self.kind.name(),
            "token": self.token,
            "returned": self.returned,
            "bundle": self.bundle,
            "code": self.code,
            "reason": self.denial.map_or("", Denial::reason),
            "message": self.message,
        })
    }

    pub(super) fn from_json(value: &Value) -> Result<Answer, String> {
        let fields = Fields::of(value)?;
        let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let reason = fields.text("reason", LONGEST_TEXT)?;
        Ok(Answer {
            req_id: fields.request_id("req_id")?,
            server_time: fields.number("server_time")?,
            kind: fields.parsed("kind", "a known kind of answer", kind)?,
            token: fields.optional("token", "a text", |text| Some(text.to_owned()))?,
            returned: fields.count("returned")?,
            bundle: fields.optional("bundle", "a text", |text| Some(text.to_owned()))?,
            denial: Denial::ALL.into_iter().find(|denial| denial.reason() == reason),
            code: fields.number("code")?,
            message: fields.text("message", 4 * LONGEST_TEXT)?,
        })
    }
}

#[cfg(test)]
mod tests;
