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
use super::object::object;
use crate::util::words::words;

words! {
    /// What a request asks for.
    pub enum Op {
        /// A seat and the first seconds, after an administrator entered the license code.
        Activate = "activate",
        /// More seconds, and changes of the license.
        Sync = "sync",
        /// To return the seat and all unused seconds.
        Return = "return",
        /// Whether the authority can be reached; needs no license.
        Probe = "probe",
    }
}

words! {
    /// Whether the appliance will ask again.
    pub enum Mode {
        /// It asks again before its seconds are used up.
        Online = "online",
        /// It will not ask again, so it asks for all seconds it may have.
        Offline = "offline",
    }
}

object! {
    /// Who activated, for support; every text may be empty.
    #[derive(Clone, Default, PartialEq, Eq)]
    pub struct User {
        /// At most 256 bytes, like the other two.
        pub username: String = text(LONGEST_TEXT),
        /// Personal data: never logged.
        pub email_address: String = text(LONGEST_TEXT),
        /// The customer, as entered by the person.
        pub company_name: String = text(LONGEST_TEXT),
    }
}

object! {
    /// The appliance's clock.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ReportedClock {
        /// Seconds since 1970.
        pub wall: i64 = number,
        /// How often it was set back by more than a day.
        pub regressions: i64 = count,
    }
}

/// Shows no member, because all are personal data.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User")
    }
}

object! {
    /// A request. A retry has the same fields, `req_id` above all; [`super::wire::seal`] adds the device
    /// key and a new answer key.
    #[derive(Clone, PartialEq, Eq)]
    pub struct Request {
        /// What it asks for.
        pub op: Op = parsed("activate, sync, return or probe", Op::parse),
        /// Identifies the request; a repeated one gets the same answer and changes nothing again.
        pub req_id: RequestId = request_id,
        /// When it was made, by the appliance's clock; never a reason to refuse.
        pub ts: i64 = number,
        /// The 18-digit code; may be empty for [`Op::Probe`].
        pub license: String = parsed("18 digits", code_or_empty),
        /// The product number of the image.
        pub product: String = text(16),
        /// The version of the image.
        pub version: String = text(LONGEST_TEXT),
        /// A UUID in lower case.
        pub computer_id: String = parsed("a UUID", computer_id),
        /// The previous computer id, while the authority may not know the new one yet.
        pub prev_computer_id: Option<String> = optional("a UUID", computer_id),
        /// Epoch of the last token, which may be a return receipt; 0 if there was none.
        pub epoch: i64 = count,
        /// `seq` of the last lease; 0 if there is none.
        pub seq: i64 = count,
        /// SHA-256 of the text of the last lease or license certificate token; [`Digest::NONE`] if there is
        /// none.
        pub prev: Digest = digest,
        /// Seconds used in this epoch.
        pub consumed: i64 = count,
        /// Seconds granted in this epoch, as far as the appliance knows.
        pub granted: i64 = count,
        /// The most seconds the appliance would like to hold; the authority has its own limit, so a large
        /// number means "as many as I may".
        pub want: i64 = count,
        /// Whether the appliance will ask again.
        pub mode: Mode = parsed("online or offline", Mode::parse),
        /// Head of the appliance's usage log.
        pub log_head: Digest = digest,
        /// For information only.
        pub clock: ReportedClock = object(ReportedClock::read),
        /// `seq` of the appliance's bundle; a newer one comes with the answer.
        pub bundle_seq: i64 = count,
        /// An activation of this device that was never answered and that this one replaces: once this one is
        /// granted, the other one can no longer be granted.
        pub instead_of: Option<RequestId> = optional("32 hex digits", RequestId::parse),
        /// Who activated.
        pub user: User = object(User::read),
    }
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
        let mut value = json!(self);
        value["device_pub"] = device.to_string().into();
        value["rk"] = answer_key.into();
        value
    }

    pub(crate) fn from_fields(fields: &Fields<'_>) -> Result<Request, Error> {
        let request = Request::read(fields)?;
        if request.license.is_empty() && request.op != Op::Probe {
            return Err("`license` is not 18 digits".into());
        }
        Ok(request)
    }
}

fn code_or_empty(text: &str) -> Option<String> {
    if text.is_empty() { Some(String::new()) } else { license_code(text) }
}

#[cfg(test)]
mod tests;
